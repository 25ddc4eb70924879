import type { CreateContainerBody } from '#contracts';
import { posix } from 'node:path';
import { CodedError } from '#kernel';
import type { CreateBody, DockerMount } from './container-config.js';
import { badParameter, unsupported } from './errors.js';

type Mount = CreateContainerBody['mounts'][number];

const PROPAGATION = new Set(['private', 'rprivate']);
const MEANINGLESS_HERE = new Set(['z', 'Z', 'cached', 'delegated', 'consistent', 'default', 'rw', ...PROPAGATION]);
/** What a tmpfs has anyhow, or what makes no difference to its content. */
const TMPFS_IGNORED = new Set(['rw', 'noexec', 'nosuid', 'nodev', 'relatime', 'noatime']);
const UNITS: Readonly<Record<string, number>> = { '': 1, b: 1, k: 1024, m: 1024 ** 2, g: 1024 ** 3, t: 1024 ** 4 };

/**
 * Every mount that the body asks for. Docker's order: binds, then mounts, then tmpfs; a volume of the configuration only where nothing else stands.
 * @throws CodedError `invalid_argument`, `unsupported`
 */
export function mountsOf(body: CreateBody): Mount[] {
  const { HostConfig: host } = body;
  if (host.VolumeDriver !== '' && host.VolumeDriver !== 'local') throw noDriver(host.VolumeDriver);
  const mounts = [...(host.Binds ?? []).map(bindMount), ...(host.Mounts ?? []).map(describedMount), ...Object.entries(host.Tmpfs ?? {}).map(([path, options]) => tmpfsMount(path, options))];
  const taken = new Set<string>();
  for (const { destination } of mounts) {
    if (taken.has(destination)) throw badParameter(`Duplicate mount point: ${destination}`);
    taken.add(destination);
  }
  for (const path of Object.keys(body.Volumes ?? {})) {
    const destination = destinationOf(path, path);
    if (!taken.has(destination)) mounts.push({ kind: 'volume', destination, readOnly: false, noCopy: false });
    taken.add(destination);
  }
  return mounts;
}

/** `source:destination[:options]`: a path of the tenant's virtual host, made when it is not there, or a volume's name. */
function bindMount(spec: string): Mount {
  const parts = spec.split(':');
  const [source = '', target, options = '', ...more] = parts;
  if (more.length > 0 || source === '' || target === '') throw badParameter(`invalid volume specification: '${spec}'`);
  if (target === undefined) return { kind: 'volume', destination: destinationOf(source, spec), readOnly: false, noCopy: false };
  const { readOnly, noCopy } = bindOptions(options, spec);
  const destination = destinationOf(target, spec);
  if (source.startsWith('/')) {
    if (noCopy) throw badParameter(`invalid volume specification: '${spec}': invalid mode: nocopy`);
    return { kind: 'bind', hostPath: posix.normalize(source), create: true, destination, readOnly };
  }
  return { kind: 'volume', name: source, destination, readOnly, noCopy };
}

function bindOptions(text: string, spec: string): { readOnly: boolean; noCopy: boolean } {
  const options = text === '' ? [] : text.split(',');
  for (const option of options) {
    if (MEANINGLESS_HERE.has(option) || option === 'ro' || option === 'nocopy') continue;
    if (/^r?(shared|slave)$/.test(option)) throw unsupported(`mount propagation (${option})`);
    throw badParameter(`invalid volume specification: '${spec}': invalid mode: ${text}`);
  }
  if (options.includes('ro') && options.includes('rw')) throw badParameter(`invalid volume specification: '${spec}': invalid mode: ${text}`);
  return { readOnly: options.includes('ro'), noCopy: options.includes('nocopy') };
}

function describedMount(mount: DockerMount): Mount {
  const invalid = (why: string): CodedError => badParameter(`invalid mount config for type "${mount.Type}": ${why}`);
  if (mount.Target === '') throw invalid('field Target must not be empty');
  const destination = destinationOf(mount.Target, mount.Target);
  switch (mount.Type) {
    case 'bind':
      return describedBind(mount, destination, invalid);
    case 'volume':
      return volumeMount(mount, destination, invalid);
    case 'tmpfs':
      return describedTmpfs(mount, destination, invalid);
    case 'image':
    case 'npipe':
    case 'cluster':
      throw unsupported(`a mount of type ${mount.Type}`);
    default:
      throw badParameter(`mount type unknown: "${mount.Type}"`);
  }
}

function describedBind(mount: DockerMount, destination: string, invalid: (why: string) => CodedError): Mount {
  if (mount.Source === '') throw invalid('field Source must not be empty');
  if (!mount.Source.startsWith('/')) throw invalid(`invalid mount path: '${mount.Source}' mount path must be absolute`);
  if (mount.VolumeOptions !== undefined || mount.TmpfsOptions !== undefined) throw invalid('options of another type');
  const { Propagation: propagation = '', CreateMountpoint: create = false } = mount.BindOptions ?? {};
  if (propagation !== '' && !PROPAGATION.has(propagation)) throw unsupported(`mount propagation (${propagation})`);
  return { kind: 'bind', hostPath: posix.normalize(mount.Source), create, destination, readOnly: mount.ReadOnly };
}

function describedTmpfs(mount: DockerMount, destination: string, invalid: (why: string) => CodedError): Mount {
  if (mount.Source !== '') throw invalid('field Source must not be specified');
  const { SizeBytes: size = 0, Mode: mode = 0, Options: options } = mount.TmpfsOptions ?? {};
  if ((options ?? []).length > 0) throw unsupported('options of a tmpfs mount beside size and mode');
  return { kind: 'tmpfs', destination, readOnly: mount.ReadOnly, ...(size > 0 ? { sizeBytes: Math.floor(size) } : {}), ...(mode > 0 ? { mode: Math.floor(mode) } : {}) };
}

function volumeMount(mount: DockerMount, destination: string, invalid: (why: string) => CodedError): Mount {
  const { NoCopy: noCopy = false, Labels: labels, Subpath: subpath = '', DriverConfig: driver } = mount.VolumeOptions ?? {};
  if (mount.Source.startsWith('/')) throw invalid(`invalid volume name: ${mount.Source}`);
  if (subpath !== '') throw unsupported('a folder of a volume (Subpath)');
  if (driver !== undefined && driver.Name !== '' && driver.Name !== 'local') throw noDriver(driver.Name);
  return {
    kind: 'volume',
    ...(mount.Source === '' ? {} : { name: mount.Source }),
    destination,
    readOnly: mount.ReadOnly,
    noCopy,
    ...(labels === undefined ? {} : { labels }),
    ...(driver?.Options === undefined ? {} : { options: driver.Options }),
  };
}

/** `size=64m,mode=1777,ro`. */
function tmpfsMount(path: string, options: string): Mount {
  let readOnly = false;
  let sizeBytes: number | undefined;
  let mode: number | undefined;
  for (const option of options === '' ? [] : options.split(',')) {
    const [name = '', value = ''] = option.split('=', 2);
    if (name === 'ro') readOnly = true;
    else if (name === 'size') sizeBytes = sizeOf(value);
    else if (name === 'mode' && /^0?[0-7]{1,4}$/.test(value)) mode = Number.parseInt(value, 8);
    else if (!TMPFS_IGNORED.has(name)) throw badParameter(`invalid tmpfs option ["${option}"]`);
  }
  return { kind: 'tmpfs', destination: destinationOf(path, path), readOnly, ...(sizeBytes === undefined ? {} : { sizeBytes }), ...(mode === undefined ? {} : { mode }) };
}

/** `64m`, `1.5G`, `10GB`: powers of 1024. @throws CodedError `invalid_argument` */
export function sizeOf(text: string): number {
  const match = /^(\d{1,15}(?:\.\d{1,6})?) ?([kmgt]?)(i?b)?$/i.exec(text);
  const bytes = match === null ? NaN : Math.floor(Number(match[1]) * (UNITS[(match[2] ?? '').toLowerCase()] ?? NaN));
  if (!Number.isSafeInteger(bytes)) throw badParameter(`invalid size: '${text.slice(0, 100)}'`);
  return bytes;
}

function destinationOf(path: string, spec: string): string {
  if (!path.startsWith('/')) throw badParameter(`invalid volume specification: '${spec}': invalid mount path: '${path}' mount path must be absolute`);
  const destination = posix.normalize(path).replace(/(.)\/$/, '$1');
  if (destination === '/') throw badParameter(`invalid volume specification: '${spec}': invalid specification: destination can't be '/'`);
  return destination;
}

function noDriver(name: string): CodedError {
  return new CodedError('not_found', `error looking up volume plugin ${name}: plugin "${name}" not found`);
}
