import type { HostEventView } from '#contracts';
import type { DockerFilters } from './filters.js';

export const EVENT_FILTERS = ['config', 'container', 'daemon', 'event', 'image', 'label', 'label!', 'network', 'node', 'plugin', 'scope', 'secret', 'service', 'type', 'volume'] as const;

export function acceptsEvent(event: HostEventView, filters: DockerFilters): boolean {
  const { type, id, attributes, action } = event;
  const named = (filter: 'container' | 'volume' | 'network'): boolean => !filters.has(filter) || (type === filter && (filters.prefix(filter, id) || filters.exact(filter, attributes['name'] ?? '')));
  const image = type === 'image' ? [id, attributes['name'] ?? ''] : [attributes['image'] ?? ''];
  return (
    filters.exact('type', type) &&
    (filters.exact('event', action) || filters.exact('event', action.split(':', 1)[0] ?? '')) &&
    filters.exact('scope', 'local') &&
    filters.labels(attributes) &&
    named('container') &&
    named('volume') &&
    named('network') &&
    (!filters.has('image') || image.some((name) => filters.exact('image', name) || filters.exact('image', name.replace(/:[^:/]*$/, '')))) &&
    !['config', 'node', 'plugin', 'secret', 'service'].some((filter) => filters.has(filter))
  );
}

/** One line. The nanoseconds are beyond what a JavaScript number holds, hence written as digits. */
export function eventLine(event: HostEventView): string {
  const { type, action, id, attributes, timeNs } = event;
  const nanos = BigInt(timeNs);
  // Members of older versions, which clients still read, for these two types.
  const older = type === 'container' || type === 'image' ? { status: action, id, ...(type === 'container' && attributes['image'] !== undefined ? { from: attributes['image'] } : {}) } : {};
  const body = JSON.stringify({ ...older, Type: type, Action: action, Actor: { ID: id, Attributes: attributes }, scope: 'local', time: Number(nanos / 1_000_000_000n) });
  return `${body.slice(0, -1)},"timeNano":${nanos}}\n`;
}
