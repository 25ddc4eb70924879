import { isUtf8 } from 'node:buffer';
import { readFileSync, statSync } from 'node:fs';
import { basename, extname, isAbsolute, normalize } from 'node:path';
import { workPathSchema, type CreateRunInput, type RunFile, type RuntimeView } from '#contracts';
import { errnoOf } from '#kernel';
import { CliError, EXIT } from './failure.js';
import { pairs } from './option-values.js';

export interface RunOptions {
  readonly runtime?: string;
  readonly file?: readonly string[];
  readonly timeout?: number;
  readonly memory?: number;
  readonly env?: readonly string[];
  readonly label?: readonly string[];
  readonly stdin?: string;
  readonly user?: 'runner' | 'root';
}

/** Other endings of the same languages. */
const SYNONYMS: Readonly<Record<string, string>> = { '.mjs': '.js', '.cjs': '.js', '.cc': '.cpp', '.cxx': '.cpp', '.bash': '.sh' };

/** The runtime whose main file ends like the program. @throws CliError */
export function runtimeFor(file: string, runtimes: readonly RuntimeView[]): string {
  const ending = extname(file).toLowerCase();
  const known = runtimes.map(({ name }) => name).join(', ');
  if (ending === '') throw new CliError(`the runtime of ${file} is not clear from its name`, `Name it with -r: ${known}`, EXIT.usage);
  const found = runtimes.find(({ mainFile, aliases }) => [ending, SYNONYMS[ending]].includes(extname(mainFile)) || aliases.includes(ending.slice(1)));
  if (found === undefined) throw new CliError(`no runtime for ${ending} files`, `Name one with -r: ${known}`, EXIT.usage);
  return found.name;
}

/** The request for a program and its options. `stdin` holds what is known of it at the start. */
export function runRequest(runtime: string, code: string, args: readonly string[], options: RunOptions, stdin: { bytes: Buffer; open: boolean }): CreateRunInput {
  const files = Object.fromEntries((options.file ?? []).map(readProjectFile));
  return {
    runtime,
    code,
    args: [...args],
    ...(Object.keys(files).length === 0 ? {} : { files }),
    env: pairs(options.env ?? [], (name) => process.env[name]),
    labels: pairs(options.label ?? [], () => undefined),
    ...(isUtf8(stdin.bytes) ? { stdin: stdin.bytes.toString('utf8') } : { stdin: stdin.bytes.toString('base64'), stdinEncoding: 'base64' as const }),
    stdinOpen: stdin.open,
    ...(options.user === undefined ? {} : { user: options.user }),
    limits: {
      ...(options.timeout === undefined ? {} : { wallTimeMs: options.timeout, cpuTimeMs: Math.min(options.timeout, 300_000) }),
      ...(options.memory === undefined ? {} : { memoryBytes: options.memory }),
    },
  };
}

/** `path` keeps its place in the working folder; `path=place` names another. */
function readProjectFile(option: string): [string, RunFile] {
  const cut = option.indexOf('=');
  const path = cut === -1 ? option : option.slice(0, cut);
  const place = cut === -1 ? (isAbsolute(path) || normalize(path).startsWith('..') ? basename(path) : normalize(path)) : option.slice(cut + 1);
  const checked = workPathSchema.safeParse(place);
  if (!checked.success) throw new CliError(`${place}: ${checked.error.issues[0]?.message ?? 'is no path'}`, 'Give --file path=place', EXIT.usage);
  const bytes = readLocalFile(path);
  const encoding = isUtf8(bytes) ? 'utf8' : 'base64';
  return [place, { content: bytes.toString(encoding), encoding, executable: (statSync(path).mode & 0o100) !== 0 }];
}

/** @throws CliError when it cannot be read */
export function readLocalFile(path: string): Buffer {
  try {
    return readFileSync(path);
  } catch (error) {
    throw new CliError(`${path} cannot be read (${errnoOf(error) ?? String(error)})`, '', EXIT.usage);
  }
}

/** All of stdin, be it a file, a pipe or a socket. */
export async function readStdin(): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of process.stdin as AsyncIterable<Buffer>) chunks.push(chunk);
  return Buffer.concat(chunks);
}

export async function readProgram(path: string): Promise<string> {
  const bytes = path === '-' ? await readStdin() : readLocalFile(path);
  if (!isUtf8(bytes)) throw new CliError(`${path} is not a text in UTF-8`, 'Send binary files with --file.', EXIT.usage);
  return bytes.toString('utf8');
}
