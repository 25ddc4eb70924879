import { readFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { errnoOf, isDigest, isId } from '#kernel';
import type { ProcessIdentity } from '../linux/index.js';
import type { SandboxSpec } from './runtime.js';

/**
 * What a sandbox's folder says of it, written when its agent's process is known. A folder without a readable state is half made or half
 * removed: the next start sweeps it.
 */
export interface SandboxState {
  /** 2 had no mounts, privileges or writable layer, and always a root file system; what it says it says as 3 does. */
  readonly version: 2 | 3;
  readonly spec: SandboxSpec;
  /** Of the uid range. */
  readonly slot: number;
  readonly createdAt: number;
  /** PID 1 of the sandbox, as the host sees it. */
  readonly init: ProcessIdentity;
  readonly bootId: string;
}

const FILE = 'state.json';

export function statePath(dir: string): string {
  return join(dir, FILE);
}

/**
 * Atomic for whoever reads it, whenever the worker dies. Not forced to disk: the sandbox does not outlive the machine's crash, after which a
 * damaged or missing state is that of a sandbox to be swept. (fsync of the file and its folder would cost as much as the launch itself.)
 */
export async function writeState(dir: string, state: SandboxState): Promise<void> {
  const temporary = join(dir, `.${FILE}`);
  await writeFile(temporary, JSON.stringify(state), { mode: 0o600 });
  await rename(temporary, statePath(dir));
}

/** undefined when there is none or it is damaged: both mean that the sandbox is not whole. */
export async function readState(dir: string): Promise<SandboxState | undefined> {
  try {
    const value: unknown = JSON.parse(await readFile(statePath(dir), 'utf8'));
    return isState(value) ? value : undefined;
  } catch (error) {
    if (error instanceof SyntaxError || errnoOf(error) === 'ENOENT' || errnoOf(error) === 'ENOTDIR') return undefined;
    throw error;
  }
}

function isState(value: unknown): value is SandboxState {
  if (typeof value !== 'object' || value === null) return false;
  const state = value as Partial<SandboxState>;
  const spec: Partial<SandboxSpec> | undefined = state.spec;
  return (
    (state.version === 2 || state.version === 3) &&
    typeof state.slot === 'number' &&
    typeof state.createdAt === 'number' &&
    typeof state.bootId === 'string' &&
    Number.isInteger(state.init?.pid) &&
    isId('sandbox', spec?.id) &&
    isId('tenant', spec.tenantId) &&
    // JSON leaves out what is undefined.
    (spec.chainId === undefined ? state.version === 3 : isDigest(spec.chainId)) &&
    typeof spec.annotations === 'object'
  );
}
