import type { ContainerView, ImageSummary } from '#contracts';
import { CodedError } from '#kernel';
import { badParameter } from './errors.js';
import type { DockerFilters } from './filters.js';
import { findImage } from './image-list.js';
import { acceptsPort } from './port-filters.js';

export const CONTAINER_FILTERS = [
  'ancestor', 'before', 'expose', 'exited', 'health', 'id', 'isolation', 'is-task', 'label', 'label!', 'name', 'network', 'publish', 'since', 'status', 'volume',
] as const;
const STATES = new Set(['created', 'running', 'paused', 'exited', 'removing', 'dead', 'restarting']);
const HEALTHS = new Set(['none', 'starting', 'healthy', 'unhealthy']);

export interface Listing {
  readonly all: boolean;
  /** The newest so many, running or not. */
  readonly limit: number;
}

/**
 * Which containers `docker ps` shows, newest first.
 * @throws CodedError `invalid_argument`, `not_found` (the container that `before` or `since` names)
 */
export function selectContainers(containers: readonly ContainerView[], filters: DockerFilters, { all, limit }: Listing, images: readonly ImageSummary[]): ContainerView[] {
  const every = all || limit > 0 || ['status', 'exited', 'before', 'since'].some((name) => filters.has(name));
  for (const state of filters.get('status')) if (!STATES.has(state)) throw badParameter(`invalid filter 'status=[${state}]'`);
  for (const health of filters.get('health')) if (!HEALTHS.has(health)) throw badParameter(`invalid filter 'health=[${health}]'`);
  for (const code of filters.get('exited')) if (!/^-?\d{1,9}$/.test(code)) throw badParameter(`invalid filter 'exited=[${code}]'`);
  const before = momentOf('before', containers, filters);
  const since = momentOf('since', containers, filters);
  const ancestors = filters.has('ancestor') ? new Set(filters.get('ancestor').map((text) => findImage(images, text)?.id)) : undefined;
  const selected = containers
    .filter(({ state }) => every || ['running', 'paused', 'restarting'].includes(state.status))
    .filter(
      (container) =>
        (before === undefined || container.createdAt < before) &&
        (since === undefined || container.createdAt > since) &&
        (ancestors === undefined || ancestors.has(container.imageId) || filters.exact('ancestor', container.request.image)) &&
        accepts(container, filters),
    )
    .sort((a, b) => b.createdAt - a.createdAt);
  return limit > 0 ? selected.slice(0, limit) : selected;
}

function accepts(container: ContainerView, filters: DockerFilters): boolean {
  const { state, mounts, network } = container;
  return (
    filters.exact('health', state.health?.status ?? 'none') &&
    filters.prefix('id', container.id) &&
    (filters.matches('name', container.name) || filters.matches('name', `/${container.name}`)) &&
    filters.exact('status', state.status) &&
    (!filters.has('exited') || (state.status === 'exited' && filters.exact('exited', String(state.exitCode)))) &&
    filters.labels(container.effective.labels) &&
    (!filters.has('volume') || mounts.some(({ name, destination }) => filters.exact('volume', name ?? '') || filters.exact('volume', destination))) &&
    (!filters.has('network') || network.endpoints.some(({ networkName, networkId }) => filters.exact('network', networkName) || (networkId !== '' && filters.exact('network', networkId)))) &&
    acceptsPort(filters, 'expose', container.effective.exposedPorts.map((port) => ({ port: Number(port.split('/')[0]), protocol: port.split('/')[1] ?? 'tcp' }))) &&
    acceptsPort(filters, 'publish', network.ports.map(({ hostPort, protocol }) => ({ port: hostPort, protocol }))) &&
    (!filters.has('is-task') || !filters.flag('is-task', false))
  );
}

function momentOf(filter: 'before' | 'since', containers: readonly ContainerView[], filters: DockerFilters): number | undefined {
  const [text] = filters.get(filter);
  if (text === undefined) return undefined;
  const name = text.replace(/^\//, '');
  const found = containers.find((one) => one.name === name || one.id === text) ?? containers.find((one) => one.id.startsWith(text));
  if (found === undefined) throw new CodedError('not_found', `No such container: ${text}`);
  return found.createdAt;
}
