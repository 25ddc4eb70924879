import { mkdir, readFile, readlink } from 'node:fs/promises';
import { join } from 'node:path';
import { CodedError, errnoOf, isId, type TenantId } from '#kernel';
import { bootId, identifyProcess, isRunning, listPids, removeFile, type ProcessIdentity } from '../../linux/index.js';
import { isHostState, readStateFile, writeStateFile, type HostState } from '../host-state.js';
import type { NetHelper } from '../net-helper.js';
import type { Uplink } from './node-gate.js';

export interface Holder {
  readonly identity: ProcessIdentity;
  readonly uplink: Uplink;
}

/** How long a process that was told to end may take. */
const END_MS = 5_000;

/** The processes that hold tenants' host name spaces, and what is written of them. */
export class Holders {
  constructor(
    private readonly root: string,
    private readonly instance: string,
    private readonly helper: NetHelper,
  ) {}

  socketOf(uplink: Pick<Uplink, 'index'>): string {
    return join(this.root, 'names', String(uplink.index));
  }

  async start(tenantId: TenantId, uplink: Uplink): Promise<Holder> {
    for (const folder of ['names', tenantId]) await mkdir(join(this.root, folder), { recursive: true, mode: 0o700 });
    const pid = await this.helper.hold(this.instance, tenantId, this.socketOf(uplink));
    const identity = await identifyProcess(pid);
    if (identity === undefined) throw new CodedError('internal', 'the process that holds a name space ended at once', { pid });
    return { identity, uplink };
  }

  /** When it is set up: until then it is swept by the next start. */
  async write(tenantId: TenantId, { identity, uplink }: Holder): Promise<void> {
    const state: HostState = { version: 1, holder: identity, bootId: await bootId(), uplink };
    await writeStateFile(this.#stateFile(tenantId), state);
  }

  async find(tenantId: TenantId): Promise<Holder | undefined> {
    const state = await readStateFile(this.#stateFile(tenantId), isHostState);
    if (state?.bootId !== (await bootId()) || !(await isRunning(state.holder))) return undefined;
    return { identity: state.holder, uplink: state.uplink };
  }

  /** Ends holders of this instance that no tenant of `known` has. */
  async sweep(known: ReadonlySet<number>): Promise<number> {
    const strays = (await findHolders(this.instance)).filter(({ identity }) => !known.has(identity.pid));
    for (const { identity } of strays) await end(identity);
    return strays.length;
  }

  /** Its name space goes with it, and with the last sandbox in it. */
  async stop({ identity, uplink }: Holder): Promise<void> {
    await end(identity);
    await removeFile(this.socketOf(uplink));
  }

  #stateFile(tenantId: TenantId): string {
    return join(this.root, tenantId, 'host.json');
  }
}

async function end(identity: ProcessIdentity): Promise<void> {
  if (!(await isRunning(identity))) return;
  process.kill(identity.pid, 'SIGKILL');
  const deadline = Date.now() + END_MS;
  while (await isRunning(identity)) {
    if (Date.now() > deadline) throw new CodedError('internal', 'the process that holds a name space does not end', { pid: identity.pid });
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
}

/** Of an instance, whatever is written of them. Guests can call their programs as they like, but not as root of the machine. */
export async function findHolders(instance: string): Promise<{ identity: ProcessIdentity; tenantId: TenantId }[]> {
  const own = await readlink('/proc/self/ns/user');
  const found: { identity: ProcessIdentity; tenantId: TenantId }[] = [];
  for (const pid of await listPids()) {
    const identity = await identifyProcess(pid);
    const [, command, of, tenantId] = (await textOf(`/proc/${pid}/cmdline`)).split('\0');
    if (identity === undefined || command !== 'hold' || of !== instance || !isId('tenant', tenantId)) continue;
    if ((await readlink(`/proc/${pid}/ns/user`).catch(() => '')) !== own || !(await isRunning(identity))) continue;
    found.push({ identity, tenantId });
  }
  return found;
}

async function textOf(path: string): Promise<string> {
  try {
    return await readFile(path, 'latin1');
  } catch (error) {
    if (errnoOf(error) === 'ENOENT' || errnoOf(error) === 'ESRCH') return '';
    throw error;
  }
}
