import { CodedError } from '#kernel';
import type { ContainerMount, MountPoint } from '../containers.js';
import { absolutePath } from './process-plan.js';

/** A mount of a container as it is kept: what it needs to be mounted at each start. */
export type PlannedMount =
  | { readonly kind: 'volume'; readonly name: string; readonly anonymous: boolean; readonly subpath?: string; readonly destination: string; readonly readOnly: boolean }
  | { readonly kind: 'bind'; readonly hostPath: string; readonly create: boolean; readonly destination: string; readonly readOnly: boolean }
  | { readonly kind: 'tmpfs'; readonly destination: string; readonly sizeBytes: number; readonly mode: number; readonly readOnly: boolean };

export type AskedVolume = Extract<ContainerMount, { kind: 'volume' }>;

/** A volume that is to be made, or taken as it is, with the container; every other mount is ready. */
export type MountWish = { readonly kind: 'ready'; readonly mount: PlannedMount } | { readonly kind: 'volume'; readonly asked: AskedVolume };

export interface MountRequest {
  readonly mounts: readonly ContainerMount[];
  /** Parsed, with the mounts of the containers they name. */
  readonly volumesFrom: readonly { readonly readOnly: boolean; readonly mounts: readonly PlannedMount[] }[];
  /** Of the image: each is a volume unless something is mounted there. */
  readonly imageVolumes: readonly string[];
}

/** Of a tmpfs without a size: half of what a machine of 1 GiB would give it. It counts as the container's memory. */
const TMPFS_BYTES = 512 * 1024 * 1024;
const TMPFS_MODE = 0o1777;
const MAX_MOUNTS = 256;
/** The sandbox mounts these itself. */
const RESERVED = /^\/(?:proc|sys|dev)(?:\/|$)/;
const SHARED_MEMORY = /^\/dev\/shm(?:\/|$)/;

/**
 * What stands where: image volumes give way to `volumesFrom`, those to what was asked for. Docker's precedence; parents come before what is mounted below them.
 * @throws CodedError `invalid_argument`: `Duplicate mount point: /x`, a bad destination
 */
export function planMounts(request: MountRequest): MountWish[] {
  const wishes = new Map<string, MountWish>();
  for (const { readOnly, mounts } of request.volumesFrom) {
    for (const mount of mounts) if (mount.kind !== 'tmpfs') wishes.set(mount.destination, { kind: 'ready', mount: { ...mount, readOnly: mount.readOnly || readOnly } });
  }
  for (const [destination, asked] of askedFor(request.mounts)) wishes.set(destination, wishOf({ ...asked, destination }));
  for (const path of request.imageVolumes) {
    const destination = destinationOf(path);
    if (!wishes.has(destination)) wishes.set(destination, { kind: 'volume', asked: { kind: 'volume', destination, readOnly: false, noCopy: false } });
  }
  if (wishes.size > MAX_MOUNTS) throw new CodedError('invalid_argument', `more than ${MAX_MOUNTS} mounts`);
  return [...wishes.entries()].sort(([one], [other]) => depthOf(one) - depthOf(other) || (one < other ? -1 : 1)).map(([, wish]) => wish);
}

/** `-v /path` alone asks for a volume only where nothing else is. */
function askedFor(mounts: readonly ContainerMount[]): Map<string, ContainerMount> {
  const asked = new Map<string, ContainerMount>();
  for (const mount of mounts) {
    const destination = destinationOf(mount.destination);
    const other = asked.get(destination);
    if (other === undefined || isPlainAnonymous(other)) asked.set(destination, mount);
    else if (!isPlainAnonymous(mount)) throw new CodedError('invalid_argument', `Duplicate mount point: ${destination}`);
  }
  return asked;
}

function isPlainAnonymous(mount: ContainerMount): boolean {
  return mount.kind === 'volume' && mount.name === undefined && mount.options === undefined;
}

function wishOf(mount: ContainerMount): MountWish {
  switch (mount.kind) {
    case 'volume':
      return { kind: 'volume', asked: mount };
    case 'bind':
      return { kind: 'ready', mount: { kind: 'bind', hostPath: absolutePath(mount.hostPath), create: mount.create, destination: mount.destination, readOnly: mount.readOnly } };
    case 'tmpfs':
      return { kind: 'ready', mount: { kind: 'tmpfs', destination: mount.destination, sizeBytes: mount.sizeBytes ?? TMPFS_BYTES, mode: mount.mode ?? TMPFS_MODE, readOnly: mount.readOnly } };
  }
}

function destinationOf(text: string): string {
  if (!text.startsWith('/')) throw new CodedError('invalid_argument', `invalid mount config: invalid mount path: '${text.slice(0, 200)}' mount path must be absolute`);
  if (text.includes('\0') || text.length > 4095) throw new CodedError('invalid_argument', 'invalid mount config: the mount path is too long or holds NUL');
  const path = absolutePath(text);
  if (path === '/') throw new CodedError('invalid_argument', "invalid specification: destination can't be '/'");
  if (RESERVED.test(path) && !SHARED_MEMORY.test(path)) throw new CodedError('invalid_argument', `invalid mount config: ${path} is the sandbox's own`);
  return path;
}

function depthOf(path: string): number {
  return path.split('/').length;
}

/** `container[:ro|rw]`. @throws CodedError `invalid_argument` */
export function parseVolumesFrom(text: string): { readonly container: string; readonly readOnly: boolean } {
  const colon = text.indexOf(':');
  const [container, mode] = colon < 0 ? [text, 'rw'] : [text.slice(0, colon), text.slice(colon + 1)];
  if (container === '') throw new CodedError('invalid_argument', 'volumes-from specification cannot be an empty string');
  const options = mode.split(',');
  if (!options.every((option) => /^(?:ro|rw|z|Z|nocopy)$/.test(option))) throw new CodedError('invalid_argument', `invalid mode: ${mode.slice(0, 100)}`);
  return { container, readOnly: options.includes('ro') };
}

/** As the tenant may know it. */
export function mountPointOf(mount: PlannedMount): MountPoint {
  const { kind, destination, readOnly } = mount;
  switch (kind) {
    case 'volume':
      return { kind, name: mount.name, source: `/var/lib/docker/volumes/${mount.name}/_data`, destination, readOnly };
    case 'bind':
      return { kind, source: mount.hostPath, destination, readOnly };
    case 'tmpfs':
      return { kind, source: '', destination, readOnly };
  }
}

