import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { asError } from '#kernel';
import { CliError, EXIT } from './failure.js';

/** `tcp://127.0.0.1:8080` of the server's URL: what DOCKER_HOST takes, with and without TLS. */
export function dockerHost(url: string): string {
  const { protocol, hostname, port, pathname } = new URL(url);
  if (pathname !== '/') throw new CliError(`${url} has a path`, "Docker's clients reach a server by host and port.", EXIT.usage);
  return `tcp://${hostname}:${port === '' ? (protocol === 'https:' ? '443' : '80') : port}`;
}

/** One `export` a line, for sh. undefined: the variable is taken away, because it would win over the others. */
export function shellLines(variables: Readonly<Record<string, string | undefined>>): string {
  return Object.entries(variables)
    .map(([name, value]) => (value === undefined ? `unset ${name}\n` : `export ${name}=${quoted(value)}\n`))
    .join('');
}

export function quoted(text: string): string {
  return /^[\w./:=@,+-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`;
}

/** As CSV, which is how the CLI reads the variable. */
export function customHeaders(apiKey: string): string {
  return `"Authorization=Bearer ${checkedKey(apiKey)}"`;
}

function checkedKey(apiKey: string): string {
  if (!/^[\w-]+$/.test(apiKey)) throw new CliError('that is no API key', 'Keys begin with sbk_', EXIT.usage);
  return apiKey;
}

/** A private folder with the files, each replaced as a whole. */
export function keepPrivately(folder: string, files: Readonly<Record<string, string>>): string {
  const path = resolve(folder);
  mkdirSync(path, { recursive: true, mode: 0o700 });
  for (const [name, text] of Object.entries(files)) {
    const staged = join(path, `${name}.${process.pid}`);
    writeFileSync(staged, text, { mode: 0o600, flag: 'wx' });
    renameSync(staged, join(path, name));
  }
  return path;
}

/** Docker's config.json with the header in it; what else stands there stays. @throws CliError when it is damaged */
export function configWithHeader(folder: string, apiKey: string): string {
  const file = join(folder, 'config.json');
  const config = existsSync(file) ? readObject(file) : {};
  const headers = typeof config['HttpHeaders'] === 'object' ? config['HttpHeaders'] : {};
  return `${JSON.stringify({ ...config, HttpHeaders: { ...headers, Authorization: `Bearer ${checkedKey(apiKey)}` } }, null, 2)}\n`;
}

function readObject(file: string): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(readFileSync(file, 'utf8'));
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Record<string, unknown>;
  } catch (error) {
    throw new CliError(`${file} cannot be read: ${asError(error).message}`, 'Name another folder with --dir.');
  }
  throw new CliError(`${file} is damaged`, 'Name another folder with --dir.');
}
