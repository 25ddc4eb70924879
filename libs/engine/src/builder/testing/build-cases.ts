import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { cp, mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { Difference } from './image-facts.js';

const FOLDER = join(import.meta.dirname, '../../../../../test/conformance/builds');

/**
 * A folder of `test/conformance/builds`: `Dockerfile`; `context.sh`, which makes the context's other files in the folder that it runs in; `options.json`; and
 * `Dockerfile.buildah`, the same in words that Debian's buildah knows, where it does not know all of ours.
 */
export interface BuildCase {
  readonly name: string;
  readonly dockerfile: string;
  readonly buildahDockerfile: string;
  readonly target: string | undefined;
  readonly buildArgs: Readonly<Record<string, string>>;
  readonly labels: Readonly<Record<string, string>>;
}

/** One that is known, and why it is right that way. */
export interface KnownDifference extends Difference {
  readonly case: string;
  readonly why: string;
}

interface Options {
  readonly target?: string;
  readonly buildArgs?: Readonly<Record<string, string>>;
  readonly labels?: Readonly<Record<string, string>>;
}

export function buildCases(): BuildCase[] {
  const names = readdirSync(FOLDER, { withFileTypes: true }).filter((entry) => entry.isDirectory());
  return names.map(({ name }) => {
    const dockerfile = readFileSync(join(FOLDER, name, 'Dockerfile'), 'utf8');
    const other = join(FOLDER, name, 'Dockerfile.buildah');
    const file = join(FOLDER, name, 'options.json');
    const { target, buildArgs = {}, labels = {} } = (existsSync(file) ? JSON.parse(readFileSync(file, 'utf8')) : {}) as Options;
    return { name, dockerfile, buildahDockerfile: existsSync(other) ? readFileSync(other, 'utf8') : dockerfile, target, buildArgs, labels };
  });
}

export function knownDifferences(): KnownDifference[] {
  return JSON.parse(readFileSync(join(FOLDER, 'differences.json'), 'utf8')) as KnownDifference[];
}

export function writeKnownDifferences(all: readonly KnownDifference[]): void {
  writeFileSync(join(FOLDER, 'differences.json'), `${JSON.stringify(all, null, 2)}\n`);
}

/** The context of a case in a folder that is not there yet. */
export async function makeContext(name: string, folder: string): Promise<void> {
  await mkdir(folder, { recursive: true, mode: 0o755 });
  const script = join(FOLDER, name, 'context.sh');
  if (existsSync(script)) execFileSync('/bin/sh', ['-e', script], { cwd: folder, stdio: ['ignore', 'ignore', 'inherit'] });
  await cp(join(FOLDER, name, 'Dockerfile'), join(folder, 'Dockerfile'));
}
