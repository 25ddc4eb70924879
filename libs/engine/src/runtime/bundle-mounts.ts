import { join, posix } from 'node:path';
import { CodedError } from '#kernel';
import type { SandboxMount } from './runtime.js';

export interface OciMount {
  readonly destination: string;
  readonly type: string;
  readonly source: string;
  readonly options: readonly string[];
}

export const SHM = '/dev/shm';

/** A destination in Docker's order of checks and, where its clients show them, words. Normalised. */
export function mountDestination(destination: string): string {
  const invalid = (message: string): CodedError => new CodedError('invalid_argument', message, { destination });
  if (!posix.isAbsolute(destination)) throw invalid(`invalid mount path: '${destination}' mount path must be absolute`);
  if (destination.includes('\0')) throw invalid('invalid mount path: it holds a NUL byte');
  const path = posix.resolve('/', destination);
  if (path === '/') throw invalid("invalid specification: destination can't be '/'");
  // What the kernel makes there must stay as the bundle has it: a volume over /proc would show the guest's own files to the OCI runtime.
  const top = `/${path.split('/')[1] ?? ''}`;
  const inShm = path === SHM || path.startsWith(`${SHM}/`);
  if (['/proc', '/sys', '/dev'].includes(top) && !inShm) throw invalid(`"${path}" cannot be mounted because it is inside ${top}`);
  return path;
}

/** How the binds of a launch, at `<mountPoint>/binds/N`, and what else the sandbox mounts are told to the OCI runtime. In the spec's order. */
export function sandboxMounts(mounts: readonly SandboxMount[], mountPoint: string, options: { readonly setId: boolean }): OciMount[] {
  let binds = 0;
  return mounts.map((mount): OciMount => {
    const destination = mountDestination(mount.destination);
    if (mount.kind === 'bind') {
      const source = join(mountPoint, 'binds', String(binds));
      binds += 1;
      // As the spawner's mount has it: those flags are locked, and a runtime's remount that leaves one out is refused (mount_namespaces(7)).
      return { destination, type: 'bind', source, options: ['bind', mount.source.readOnly ? 'ro' : 'rw', 'rprivate', 'nodev', ...(options.setId ? [] : ['nosuid'])] };
    }
    const { sizeBytes, mode, readOnly } = mount;
    if (!Number.isSafeInteger(sizeBytes) || sizeBytes <= 0) throw new CodedError('invalid_argument', 'a tmpfs needs a size in bytes', { destination, sizeBytes });
    if (!Number.isInteger(mode) || mode < 0 || mode > 0o7777) throw new CodedError('invalid_argument', 'a tmpfs has a mode of 0 to 07777', { destination, mode });
    return { destination, type: 'tmpfs', source: 'tmpfs', options: ['nosuid', 'nodev', 'noexec', `size=${sizeBytes}`, `mode=${mode.toString(8)}`, ...(readOnly === true ? ['ro'] : [])] };
  });
}
