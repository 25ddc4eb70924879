import { createReadStream, createWriteStream, type Stats } from 'node:fs';
import { mkdir, stat } from 'node:fs/promises';
import { basename, join, posix, resolve } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { errnoOf } from '#kernel';
import { SandbarApiError, type FilesApi } from '#sdk';
import { meansContents, targetOf } from './copy-paths.js';
import { CliError } from './failure.js';
import { writeBytes } from './frame-writer.js';
import { packFolder, unpackInto } from './local-tar.js';

interface Place {
  readonly sandbox: string;
  readonly path: string;
}

/** A file or folder of this machine into a sandbox; `-`: a tar from stdin, into a folder that is there. */
export async function copyIn(files: FilesApi, source: string, { sandbox, path }: Place): Promise<void> {
  if (source === '-') {
    await files.upload(sandbox, path, process.stdin as AsyncIterable<Buffer>);
    return;
  }
  const local = await here(source);
  if (local === undefined) throw new CliError(`${source} is not there`);
  const there = await inside(files, { sandbox, path });
  const name = basename(resolve(source));
  if (!local.isDirectory()) {
    await files.write(sandbox, targetOf(path, name, there === 'directory' || path.endsWith('/')), createReadStream(source) as AsyncIterable<Buffer>, { mode: local.mode & 0o777 });
    return;
  }
  if (there === 'file') throw new CliError(`${path} is a file in ${sandbox}: a folder cannot take its place`);
  const target = targetOf(path, name, there === 'directory' && !meansContents(source));
  await files.mkdir(sandbox, target, { parents: true });
  await files.upload(sandbox, target, packFolder(source));
}

/** A file or folder of a sandbox to this machine; `-`: as a tar to stdout. */
export async function copyOut(files: FilesApi, { sandbox, path }: Place, destination: string): Promise<void> {
  if (destination === '-') {
    for await (const chunk of await files.download(sandbox, path)) await writeBytes(process.stdout, chunk);
    return;
  }
  const there = await inside(files, { sandbox, path });
  if (there === undefined) throw new CliError(`${path} is not there in ${sandbox}`);
  const local = await here(destination);
  // Of what was asked for, not of what the sandbox says: that may lead anywhere.
  const name = posix.basename(posix.normalize(path));
  if (there === 'file') {
    const target = local?.isDirectory() === true || destination.endsWith('/') ? join(destination, name) : destination;
    const { mode } = await files.stat(sandbox, path);
    await pipeline(Readable.from(await files.read(sandbox, path), { objectMode: false }), createWriteStream(target, { mode: mode & 0o777 }));
    return;
  }
  if (local?.isDirectory() === false) throw new CliError(`${destination} is a file: a folder cannot take its place`);
  const target = local !== undefined && !meansContents(path) ? join(destination, name) : destination;
  await mkdir(target, { recursive: true });
  await unpackInto(target, await files.download(sandbox, `${path}/`, { contents: true }));
}

async function here(path: string): Promise<Stats | undefined> {
  try {
    return await stat(path);
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return undefined;
    throw new CliError(`${path} cannot be read (${errnoOf(error) ?? String(error)})`);
  }
}

/** Links at the end are followed; undefined: nothing is there. */
async function inside(files: FilesApi, { sandbox, path }: Place): Promise<'file' | 'directory' | undefined> {
  try {
    const { kind } = await files.stat(sandbox, path);
    if (kind !== 'symlink') return kind === 'directory' ? 'directory' : 'file';
  } catch (error) {
    if (error instanceof SandbarApiError && error.code === 'not_found' && !/no such sandbox/.test(error.message)) return undefined;
    throw error;
  }
  try {
    return (await files.stat(sandbox, `${path}/`)).kind === 'directory' ? 'directory' : 'file';
  } catch {
    return 'file';
  }
}
