import { CodedError } from '#kernel';
import { parseByteSize } from './byte-size.js';

/** What a volume is, by the options it was made with. */
export type VolumeKind =
  | { readonly kind: 'directory' }
  | { readonly kind: 'partition'; readonly sizeBytes: number }
  | { readonly kind: 'tmpfs'; readonly sizeBytes: number; readonly mode: number }
  /** A path of the tenant's host tree. */
  | { readonly kind: 'bind'; readonly path: string };

const OPTIONS = ['type', 'o', 'device', 'size'];
/** Its pages count in the memory of the sandbox that writes them, which ends it earlier. */
const DEFAULT_TMPFS_BYTES = 1024 ** 3;
/** mount(8) gives the root of a tmpfs that mode. */
const DEFAULT_TMPFS_MODE = 0o1777;

/**
 * Options of Docker's driver `local`: none; `type=tmpfs` (`o=size=…,mode=…`); `type=none,o=bind,device=/path`; `size=…`, alone or in `o`.
 * @throws CodedError `invalid_argument`
 */
export function parseVolumeOptions(options: Readonly<Record<string, string>>): VolumeKind {
  for (const option of Object.keys(options)) {
    if (!OPTIONS.includes(option)) throw invalid(`invalid option: ${JSON.stringify(option)}`);
  }
  const flags = parseFlags(options.o ?? '');
  const { type, device } = options;
  if (type === undefined) {
    if (device !== undefined) throw invalid('missing required option: "type"');
    return sized(options, flags);
  }
  if (device === undefined) throw invalid('missing required option: "device"');
  if (type === 'tmpfs') return tmpfs(options, flags);
  if (type === 'none' || type === 'bind') return bind(device, options, flags);
  throw invalid(`failed to mount local volume: mount ${device}: file systems of type ${JSON.stringify(type)} are not available`);
}

function sized(options: Readonly<Record<string, string>>, flags: Map<string, string>): VolumeKind {
  allow(flags, ['size']);
  const size = options.size ?? flags.get('size');
  if (size === undefined) return { kind: 'directory' };
  return { kind: 'partition', sizeBytes: sizeOf(size) };
}

function tmpfs(options: Readonly<Record<string, string>>, flags: Map<string, string>): VolumeKind {
  allow(flags, ['size', 'mode', 'rw']);
  const size = flags.get('size') ?? options.size;
  const mode = flags.get('mode');
  if (mode !== undefined && !/^[0-7]{1,4}$/.test(mode)) throw invalid(`invalid mode: ${JSON.stringify(mode)}`);
  return { kind: 'tmpfs', sizeBytes: size === undefined ? DEFAULT_TMPFS_BYTES : sizeOf(size), mode: mode === undefined ? DEFAULT_TMPFS_MODE : Number.parseInt(mode, 8) };
}

function bind(device: string, options: Readonly<Record<string, string>>, flags: Map<string, string>): VolumeKind {
  allow(flags, ['bind', 'rbind', 'rw']);
  if (!flags.has('bind') && !flags.has('rbind')) throw invalid('missing required option: "o=bind"');
  if (options.size !== undefined) throw invalid('quota size requested but no quota support');
  if (!device.startsWith('/')) throw invalid(`invalid device: ${JSON.stringify(device)} is not an absolute path`);
  return { kind: 'bind', path: device };
}

function parseFlags(text: string): Map<string, string> {
  const flags = new Map<string, string>();
  for (const part of text.split(',')) {
    const [key, value = ''] = part.split(/=(.*)/s, 2);
    if (key !== undefined && key !== '') flags.set(key, value);
  }
  return flags;
}

function allow(flags: Map<string, string>, known: readonly string[]): void {
  for (const flag of flags.keys()) {
    if (!known.includes(flag)) throw invalid(`invalid mount option: ${JSON.stringify(flag)}`);
  }
}

function sizeOf(text: string): number {
  const bytes = parseByteSize(text);
  if (bytes === undefined || bytes <= 0) throw invalid(`invalid size: ${JSON.stringify(text)}`);
  return bytes;
}

function invalid(message: string): CodedError {
  return new CodedError('invalid_argument', message);
}
