import { readFile, rename, writeFile } from 'node:fs/promises';
import { errnoOf } from '#kernel';
import type { ProcessIdentity } from '../linux/index.js';

/** What a tenant's folder says of its host name space. Without it, or when the process is gone, there is none. */
export interface HostState {
  readonly version: 1;
  readonly holder: ProcessIdentity;
  readonly bootId: string;
  readonly uplink: { readonly index: number; readonly link: string; readonly nodeAddress: number; readonly tenantAddress: number };
}

/** Atomic for whoever reads it. Not forced to disk: what it tells of does not outlive the machine's crash. */
export async function writeStateFile(path: string, state: object): Promise<void> {
  const temporary = `${path}.new`;
  await writeFile(temporary, JSON.stringify(state), { mode: 0o600 });
  await rename(temporary, path);
}

/** undefined when there is none, or it is damaged. */
export async function readStateFile<T extends object>(path: string, isState: (value: object) => value is T): Promise<T | undefined> {
  try {
    const value: unknown = JSON.parse(await readFile(path, 'utf8'));
    return typeof value === 'object' && value !== null && isState(value) ? value : undefined;
  } catch (error) {
    if (error instanceof SyntaxError || errnoOf(error) === 'ENOENT' || errnoOf(error) === 'ENOTDIR') return undefined;
    throw error;
  }
}

export function isHostState(value: object): value is HostState {
  const state = value as Partial<HostState>;
  const uplink: Partial<HostState['uplink']> | undefined = state.uplink;
  return (
    state.version === 1 &&
    typeof state.bootId === 'string' &&
    Number.isInteger(state.holder?.pid) &&
    Number.isInteger(state.holder?.startTicks) &&
    Number.isInteger(uplink?.index) &&
    typeof uplink?.link === 'string' &&
    Number.isInteger(uplink.nodeAddress) &&
    Number.isInteger(uplink.tenantAddress)
  );
}
