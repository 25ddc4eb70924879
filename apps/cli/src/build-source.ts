import { readFileSync } from 'node:fs';
import type { BuildOptionsInput, BuildView } from '#contracts';
import type { SandbarClient } from '#sdk';
import { localContext } from './build-context.js';
import { CliError, EXIT } from './failure.js';
import { readStdin } from './run-request.js';

const GIT = /^(?:https?:\/\/[^#?]+\.git(?:\/)?(?:#.*)?$|git:\/\/|ssh:\/\/|git@|github\.com\/)/i;

/** Starts a build of PATH, URL or `-`. @throws CliError */
export async function startBuild(client: SandbarClient, where: string, file: string | undefined, options: BuildOptionsInput): Promise<BuildView> {
  if (where === '-') return fromStdin(client, file, options);
  if (GIT.test(where)) return client.builds.create({ ...options, ...(file === undefined ? {} : { dockerfile: file }), git: gitOf(where) });
  if (/^[a-z][a-z0-9+.-]*:\/\//i.test(where)) throw new CliError(`${where} is no Git address`, 'Give a folder, - for stdin, or an address that ends in .git.', EXIT.usage);
  const { dockerfile, tar } = await localContext(where, file === '-' ? { text: (await readStdin()).toString('utf8') } : file);
  return client.builds.createFromTar(tar, { ...options, ...(dockerfile === undefined ? {} : { dockerfile }) });
}

/** A tar as the context, or a Dockerfile alone. */
async function fromStdin(client: SandbarClient, file: string | undefined, options: BuildOptionsInput): Promise<BuildView> {
  if (file === '-') throw new CliError('stdin cannot be both the context and the Dockerfile', '', EXIT.usage);
  const iterator = (process.stdin as AsyncIterable<Buffer>)[Symbol.asyncIterator]();
  let head = Buffer.alloc(0);
  while (head.length < 512) {
    const next = await iterator.next();
    if (next.done === true) break;
    head = Buffer.concat([head, next.value]);
  }
  const rest = async function* (): AsyncGenerator<Buffer> {
    yield head;
    for (let next = await iterator.next(); next.done !== true; next = await iterator.next()) yield next.value;
  };
  if (isArchive(head)) return client.builds.createFromTar(rest(), { ...options, ...(file === undefined ? {} : { dockerfile: file }) });
  const chunks: Buffer[] = [];
  for await (const chunk of rest()) chunks.push(chunk);
  return client.builds.create({ ...options, dockerfileInline: Buffer.concat(chunks).toString('utf8') });
}

/** A tar's own mark, or the first bytes of gzip and zstd. */
function isArchive(head: Buffer): boolean {
  return head.subarray(257, 262).toString('latin1') === 'ustar' || head.subarray(0, 2).equals(Buffer.from([0x1f, 0x8b])) || head.subarray(0, 4).equals(Buffer.from([0x28, 0xb5, 0x2f, 0xfd]));
}

/** `https://host/x.git#ref:folder` */
function gitOf(address: string): { url: string; ref?: string; subdir?: string } {
  const cut = address.indexOf('#');
  const url = cut < 0 ? address : address.slice(0, cut);
  const [, ref = '', subdir = ''] = /^([^:]*):?(.*)$/s.exec(cut < 0 ? '' : address.slice(cut + 1)) ?? [];
  return { url: url.startsWith('github.com/') ? `https://${url}` : url, ...(ref === '' ? {} : { ref }), ...(subdir === '' ? {} : { subdir }) };
}

/** `id=x,src=file`, `id=x,env=NAME`; with the id alone the variable of that name, or else the file. @throws CliError */
export function secretsOf(given: readonly string[]): NonNullable<BuildOptionsInput['secrets']> {
  return Object.fromEntries(given.map(secretOf));
}

function secretOf(option: string): [string, { content: string; encoding: 'base64' }] {
  const fields = new Map(option.split(',').map((part) => [part.slice(0, part.indexOf('=')), part.slice(part.indexOf('=') + 1)]));
  const id = fields.get('id');
  const source = fields.get('src') ?? fields.get('source');
  for (const name of fields.keys()) if (!['id', 'src', 'source', 'env', 'type'].includes(name)) throw new CliError(`--secret ${option}: give id=NAME,src=FILE or id=NAME,env=NAME`, '', EXIT.usage);
  if (id === undefined || id === '') throw new CliError(`--secret ${option}: has no id`, 'Give id=NAME,src=FILE or id=NAME,env=NAME', EXIT.usage);
  const variable = fields.get('env') ?? (source === undefined ? id : undefined);
  const value = variable === undefined ? undefined : process.env[variable];
  if (fields.has('env') && value === undefined) throw new CliError(`--secret ${option}: the variable ${variable ?? ''} is not set`, '', EXIT.usage);
  const bytes = value === undefined ? readSecret(option, source ?? id) : Buffer.from(value);
  return [id, { content: bytes.toString('base64'), encoding: 'base64' }];
}

function readSecret(option: string, file: string): Buffer {
  try {
    return readFileSync(file);
  } catch (error) {
    throw new CliError(`--secret ${option}: ${error instanceof Error ? error.message : String(error)}`, '', EXIT.usage);
  }
}
