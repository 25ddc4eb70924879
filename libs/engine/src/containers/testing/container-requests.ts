import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { TenantId } from '#kernel';
import { findLeaks } from '../../runtime/index.js';
import type { CreateContainer, LogOptions } from '../index.js';
import type { ContainerHost } from './container-host.js';

export const NEVER = new AbortController().signal;

export function containerOf(command: readonly string[], more: Partial<CreateContainer> = {}): CreateContainer {
  return {
    image: 'busybox',
    process: { entrypoint: null, cmd: command.length === 0 ? null : command, env: [], workingDir: '', user: '', tty: false, openStdin: false },
    labels: {},
    mounts: [],
    volumesFrom: [],
    limits: {},
    capabilities: { add: [], drop: [], privileged: false },
    readOnlyRootfs: false,
    autoRemove: false,
    clientConfig: {},
    ...more,
  };
}

export async function readChunks(host: ContainerHost, tenant: TenantId, id: string, options: LogOptions = { stdout: true, stderr: true, follow: false }): Promise<{ stream: string; text: string }[]> {
  const chunks: { stream: string; text: string }[] = [];
  for await (const { stream, bytes } of host.containers.logs(tenant, id, options, NEVER)) chunks.push({ stream, text: bytes.toString() });
  return chunks;
}

export async function logText(host: ContainerHost, tenant: TenantId, id: string, stream?: 'stdout' | 'stderr', more: Partial<LogOptions> = {}): Promise<string> {
  const chunks = await readChunks(host, tenant, id, { stdout: stream !== 'stderr', stderr: stream !== 'stdout', follow: false, ...more });
  return chunks.map(({ text }) => text).join('');
}

/** What is left of containers that are gone, anywhere on the machine. */
export async function describeLeftovers(host: ContainerHost, tenants: readonly TenantId[]): Promise<string[]> {
  const left: string[] = [];
  const leaks = await findLeaks({ root: join(host.base, 'engine'), cgroupRoot: host.cgroupRoot });
  left.push(...leaks.filter(({ kind }) => kind !== 'cgroup').map((leak) => JSON.stringify(leak)));
  for (const tenant of tenants) {
    const disk = await host.disks.find(tenant);
    if (disk !== undefined) for (const folder of ['containers', 'partitions']) left.push(...readdirSync(join(disk.path, folder)).filter((name) => name !== 'lost+found').map((name) => `${folder}/${name}`));
    if (existsSync(join(host.containersRoot, tenant))) left.push(...readdirSync(join(host.containersRoot, tenant)).map((name) => `record ${name}`));
    for (const image of await host.images.list(tenant)) left.push(...image.containers.map((id) => `image hold ${id}`));
    for (const volume of await host.volumes.list(tenant)) left.push(...host.volumes.holders(tenant, volume.name).map((id) => `volume hold ${id}`));
  }
  left.push(...[...host.networks.attached.keys()].map((key) => `attached ${key}`));
  for (const { sandboxId } of await host.cgroups.list()) left.push(`cgroup ${sandboxId}`);
  left.push(...readFileSync('/proc/self/mountinfo', 'utf8').split('\n').filter((line) => line.includes(join(host.base, 'engine'))));
  return left;
}
