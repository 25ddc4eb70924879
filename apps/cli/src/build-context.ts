import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, relative, resolve, sep } from 'node:path';
import { asError, errnoOf, isCodedError, parseIgnoreFile, type IgnoreFile } from '#kernel';
import { CliError } from './failure.js';

const IGNORE_FILE = '.dockerignore';

export interface LocalContext {
  /** Path of the Dockerfile in the context; undefined: `Dockerfile`. */
  readonly dockerfile: string | undefined;
  /** A tar, to be read once. @throws CliError when not all of it can be read */
  readonly tar: AsyncGenerator<Buffer, void, undefined>;
}

/** A Dockerfile that is not of the context goes along under a name that nothing in it can have. */
interface ForeignDockerfile {
  readonly text: string;
}

/**
 * The files of a folder that `.dockerignore` (or the Dockerfile's own, `<file>.dockerignore`) does not leave out, as root's. The Dockerfile and the ignore file go along whatever
 * they say: the server reads them.
 * @throws CliError
 */
export async function localContext(folder: string, file: string | ForeignDockerfile | undefined): Promise<LocalContext> {
  if (!(await isFolder(folder))) throw new CliError(`${folder} is no folder`, 'Give the folder whose files the Dockerfile copies, a Git address, or - for a Dockerfile from stdin.');
  // As named from here, or else from the folder.
  const path = typeof file !== 'string' ? undefined : (await isThere(file)) ? resolve(file) : resolve(folder, file);
  const inside = path === undefined ? undefined : pathInside(folder, path);
  const foreign = path !== undefined && inside === undefined ? { text: await textOf(path) } : typeof file === 'object' ? file : undefined;
  const dockerfile = foreign === undefined ? inside : `.dockerfile.${randomBytes(8).toString('hex')}`;
  const ignored = await ignoreFileOf(folder, inside ?? 'Dockerfile');
  const kept = new Set([inside ?? 'Dockerfile', ignored?.name ?? IGNORE_FILE]);
  const names = namesIn(folder, (path) => !kept.has(path) && ignored?.rules.ignores(path) === true, ignored?.rules);
  return { dockerfile, tar: pack(folder, names, foreign === undefined || dockerfile === undefined ? undefined : { name: dockerfile, text: foreign.text }) };
}

/** Undefined when it lies elsewhere. */
function pathInside(folder: string, file: string): string | undefined {
  const path = relative(resolve(folder), resolve(file));
  return path === '' || path.startsWith('..') ? undefined : path.split(sep).join('/');
}

async function ignoreFileOf(folder: string, dockerfile: string): Promise<{ readonly name: string; readonly rules: IgnoreFile } | undefined> {
  for (const name of [`${dockerfile}.dockerignore`, IGNORE_FILE]) {
    let text: string;
    try {
      text = await readFile(join(folder, name), 'utf8');
    } catch (error) {
      if (errnoOf(error) === 'ENOENT' || errnoOf(error) === 'ENOTDIR') continue;
      throw new CliError(`${join(folder, name)} cannot be read: ${asError(error).message}`);
    }
    try {
      return { name, rules: parseIgnoreFile(text) };
    } catch (error) {
      throw isCodedError(error) ? new CliError(error.message) : error;
    }
  }
  return undefined;
}

/** Paths below the folder, folders before what is in them. One that is left out is looked into only when something below may come in all the same. */
async function* namesIn(folder: string, ignores: (path: string) => boolean, rules: IgnoreFile | undefined, below = ''): AsyncGenerator<string> {
  for (const entry of (await readdir(join(folder, below), { withFileTypes: true })).sort((one, other) => (one.name < other.name ? -1 : 1))) {
    const path = below === '' ? entry.name : `${below}/${entry.name}`;
    const left = ignores(path);
    // Sockets are nothing that a file could be made of.
    if (!left && !entry.isSocket()) yield path;
    if (entry.isDirectory() && (!left || rules?.mayHold(path) === true)) yield* namesIn(folder, ignores, rules, path);
  }
}

/** By tar(1), which is told each name and adds none by itself. */
async function* pack(folder: string, names: AsyncIterable<string>, extra: { readonly name: string; readonly text: string } | undefined): AsyncGenerator<Buffer, void, undefined> {
  const beside = extra === undefined ? undefined : await mkdtemp(join(tmpdir(), 'sandbar-build-'));
  try {
    if (extra !== undefined && beside !== undefined) await writeFile(join(beside, extra.name), extra.text, { mode: 0o600 });
    const last = extra === undefined || beside === undefined ? [] : ['-C', beside, extra.name];
    const tar = spawn('tar', ['-cf', '-', '--format=posix', '--owner=0', '--group=0', '--numeric-owner', '--no-recursion', '-C', resolve(folder), '--null', '--verbatim-files-from', '-T', '-', ...last], { stdio: ['pipe', 'pipe', 'pipe'] });
    let said = '';
    tar.stderr.setEncoding('utf8').on('data', (text: string) => (said = (said + text).slice(-4096)));
    const ended = once(tar, 'close') as Promise<[number | null]>;
    // Told when they are awaited; a tar that has gone says why by its end.
    ended.catch(() => undefined);
    tar.stdin.on('error', () => undefined);
    const told = tell(tar.stdin, names);
    told.catch(() => tar.kill());
    try {
      yield* tar.stdout as AsyncIterable<Buffer>;
      await told;
      const [code] = await ended;
      if (code !== 0) throw new CliError(`${folder} cannot be read: ${said.trim()}`);
    } finally {
      tar.kill();
    }
  } finally {
    if (beside !== undefined) await rm(beside, { recursive: true, force: true });
  }
}

async function tell(input: NodeJS.WritableStream, names: AsyncIterable<string>): Promise<void> {
  for await (const name of names) if (!input.write(`${name}\0`)) await Promise.race([once(input, 'drain'), once(input, 'close')]);
  input.end();
}

async function isThere(path: string): Promise<boolean> {
  return (await stat(path).catch(() => undefined)) !== undefined;
}

async function isFolder(path: string): Promise<boolean> {
  return (await stat(path).catch(() => undefined))?.isDirectory() === true;
}

async function textOf(file: string): Promise<string> {
  try {
    return await readFile(file, 'utf8');
  } catch (error) {
    throw new CliError(`${file} cannot be read: ${asError(error).message}`);
  }
}
