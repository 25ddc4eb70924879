import { CodedError } from '#kernel';
import type { ExpectedFile, GuestFileSpec, ProcessSpec } from './agent.js';
import { PROTOCOL_MAGIC, PROTOCOL_VERSION, writeUInt64 } from './frames.js';

/** Linux's numbers (asm-generic/resource.h). */
const RLIMITS = new Map(['cpu', 'fsize', 'data', 'stack', 'core', 'rss', 'nproc', 'nofile', 'memlock', 'as', 'locks', 'sigpending', 'msgqueue', 'nice', 'rtprio', 'rttime'].map((name, number) => [name, number]));
const UNLIMITED = -1;
const RLIM_INFINITY = Buffer.alloc(8, 0xff);
const START_PTY = 0x01;
const START_STDIN = 0x02;
const START_PRIVILEGED = 0x04;
const START_TIED = 0x08;
const START_EXPECTS = 0x10;
const MAX_STRINGS = 32_768;
const MAX_GIDS = 256;
const MAX_EXPECTED = 4;
const MAX_PATH_BYTES = 4095;
/** (uid_t)-1 means "unchanged" to the kernel. */
const MAX_OWNER = 0xffff_fffe;

function invalid(message: string): CodedError {
  return new CodedError('invalid_argument', message);
}

function bounded(name: string, value: number, min: number, max: number): number {
  if (!Number.isSafeInteger(value) || value < min || value > max) throw invalid(`${name} must be a whole number from ${min} to ${max}`);
  return value;
}

function u16(...values: readonly number[]): Buffer {
  const out = Buffer.alloc(values.length * 2);
  values.forEach((value, index) => out.writeUInt16LE(value, index * 2));
  return out;
}

function u32(...values: readonly number[]): Buffer {
  const out = Buffer.alloc(values.length * 4);
  values.forEach((value, index) => out.writeUInt32LE(value, index * 4));
  return out;
}

function u64(value: number): Buffer {
  const out = Buffer.alloc(8);
  writeUInt64(out, value, 0);
  return out;
}

/** NUL ends a string on the wire as it does in execve(2), so none may hold one: it would become two. */
function strings(name: string, values: readonly string[]): Buffer {
  if (values.length > MAX_STRINGS) throw invalid(`more than ${MAX_STRINGS} strings in ${name}`);
  if (values.some((value) => value.includes('\0'))) throw invalid(`${name} must not hold NUL`);
  return Buffer.from(values.map((value) => `${value}\0`).join(''), 'utf8');
}

function absolutePath(name: string, value: string): Buffer {
  const bytes = strings(name, [value]);
  if (!value.startsWith('/') || bytes.length - 1 > MAX_PATH_BYTES) throw invalid(`${name} must be an absolute path of at most ${MAX_PATH_BYTES} bytes`);
  return bytes;
}

function filePath(value: string): Buffer {
  const bytes = absolutePath('path', value);
  if (value.split('/').some((part) => part === '.' || part === '..')) throw invalid("path must not hold '.' or '..'");
  return bytes;
}

export function encodeHello(after: number): Buffer {
  return Buffer.concat([u32(PROTOCOL_MAGIC, PROTOCOL_VERSION), u64(bounded('after', after, 0, Number.MAX_SAFE_INTEGER))]);
}

export function encodeProcess(id: number): Buffer {
  return u32(bounded('process id', id, 1, 0x7fff_ffff));
}

/** Everything but the bytes, which follow it. */
export function encodeStdin(id: number, offset: number): Buffer {
  return Buffer.concat([encodeProcess(id), u64(bounded('offset', offset, 0, Number.MAX_SAFE_INTEGER))]);
}

export function encodeSignal(id: number, signal: number): Buffer {
  return Buffer.concat([encodeProcess(id), u32(bounded('signal', signal, 1, 64))]);
}

export function encodeResize(id: number, columns: number, rows: number): Buffer {
  return Buffer.concat([encodeProcess(id), u16(bounded('columns', columns, 0, 0xffff), bounded('rows', rows, 0, 0xffff))]);
}

export function encodeReadFile(path: string, maxBytes: number): Buffer {
  const bytes = filePath(path);
  return Buffer.concat([u64(bounded('maxBytes', maxBytes, 0, Number.MAX_SAFE_INTEGER)), u32(bytes.length), bytes]);
}

/** Everything but the content, which follows it. */
export function encodeWriteFile(file: Omit<GuestFileSpec, 'content'>): Buffer {
  const path = filePath(file.path);
  const owner = [bounded('mode', file.mode, 0, 0o7777), bounded('uid', file.uid, 0, MAX_OWNER), bounded('gid', file.gid, 0, MAX_OWNER)];
  return Buffer.concat([u32(...owner, path.length), path]);
}

export function encodeStart(spec: ProcessSpec): Buffer {
  const gids = spec.supplementaryGids ?? [];
  const limits = Object.entries(spec.rlimits ?? {});
  const { stdio } = spec;
  const flags = (stdio.kind === 'pty' ? START_PTY : stdio.stdin ? START_STDIN : 0) | (spec.privileged === true ? START_PRIVILEGED : 0) | (spec.tied === true ? START_TIED : 0) | (spec.expects === undefined ? 0 : START_EXPECTS);
  const [columns, rows] = stdio.kind === 'pty' ? [stdio.columns, stdio.rows] : [0, 0];
  const cwd = absolutePath('cwd', spec.cwd);
  const argv = strings('argv', spec.argv);
  const env = strings('env', spec.env);
  if (spec.argv.length === 0 || spec.argv[0] === '') throw invalid('argv must name a program');
  if (gids.length > MAX_GIDS) throw invalid(`more than ${MAX_GIDS} supplementary groups`);
  return Buffer.concat([
    encodeProcess(spec.id),
    u32(flags, bounded('uid', spec.uid, 0, MAX_OWNER), bounded('gid', spec.gid, 0, MAX_OWNER)),
    u16(bounded('columns', columns, 0, 0xffff), bounded('rows', rows, 0, 0xffff), gids.length, limits.length),
    u32(cwd.length, argv.length, env.length),
    u32(...gids.map((gid) => bounded('supplementary gid', gid, 0, MAX_OWNER))),
    ...limits.map(([name, value]) => encodeLimit(name, value)),
    cwd,
    argv,
    env,
    ...(spec.expects === undefined ? [] : encodeExpected(spec.expects)),
  ]);
}

function encodeExpected(files: readonly ExpectedFile[]): Uint8Array[] {
  if (files.length > MAX_EXPECTED) throw invalid(`more than ${MAX_EXPECTED} expected files`);
  return [u32(files.length), ...files.flatMap(({ path, content }) => { const bytes = filePath(path); return [u32(bytes.length, content.length), bytes, content]; })];
}

function encodeLimit(name: string, value: number | { readonly soft: number; readonly hard: number }): Buffer {
  const number = RLIMITS.get(name);
  if (number === undefined) throw invalid(`unknown limit ${name}`);
  const { soft, hard } = typeof value === 'number' ? { soft: value, hard: value } : value;
  if (hard !== UNLIMITED && (soft > hard || soft === UNLIMITED)) throw invalid(`the soft limit ${name} is above the hard one`);
  return Buffer.concat([u32(number), ...[soft, hard].map((each) => (each === UNLIMITED ? RLIM_INFINITY : u64(bounded(`limit ${name}`, each, 0, Number.MAX_SAFE_INTEGER))))]);
}
