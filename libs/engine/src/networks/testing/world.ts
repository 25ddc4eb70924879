import { execFile, spawn, type ChildProcess } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdtemp, readFile, readlink, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { silentLogger } from '#kernel';
import { HelperSpawner } from '../../linux/index.js';
import { LinuxNetworks, type LinuxNetworksOptions } from '../drivers/linux-networks.js';
import { findNetworkLeaks, type NetworkLeak } from '../network-leaks.js';
import type { AttachRequest } from '../networks.js';

const NATIVE = resolve(import.meta.dirname, '../../../../../dist/native');
const COMMAND_MS = 15_000;

export interface CommandResult {
  readonly code: number;
  readonly output: string;
}

/** A process in a user and a network name space of its own, as a sandbox's first one is. Its root may do there what it likes. */
export interface Guest {
  readonly pid: number;
  readonly id: string;
  /** As its root, with all privileges over its own network. */
  sh(line: string): Promise<CommandResult>;
  /** A web server on every address of it that answers with `text`. */
  serve(port: number, text: string): Promise<void>;
  /** Somebody in it has a socket on the port. */
  untilBound(port: number): Promise<void>;
  end(): Promise<void>;
}

export interface NetWorld {
  readonly root: string;
  readonly instance: string;
  networks: LinuxNetworks;
  /** As a restarted worker has it: nothing in memory. */
  reopen(options?: Partial<LinuxNetworksOptions>): Promise<LinuxNetworks>;
  guest(): Promise<Guest>;
  request(guest: Guest, more?: Partial<AttachRequest>): AttachRequest;
  /** In a name space given by its path. */
  within(path: string, line: string): Promise<CommandResult>;
  leaks(): Promise<NetworkLeak[]>;
  dispose(): Promise<void>;
}

export async function makeNetWorld(name: string, more: Partial<LinuxNetworksOptions> = {}): Promise<NetWorld> {
  const root = await mkdtemp(join(tmpdir(), `networks-${name}-`));
  const instance = `net-${name}-${process.pid}`;
  const spawner = new HelperSpawner({ program: join(NATIVE, 'sandbar-spawner'), logger: silentLogger });
  const options: LinuxNetworksOptions = { root, instance, program: join(NATIVE, 'sandbar-net'), spawner, allowPrivateCidrs: [], publish: { address: '127.0.0.1', ports: { first: 1024, last: 65_535 } }, logger: silentLogger, ...more };
  const guests = new Set<Guest>();
  const open = async (changed: Partial<LinuxNetworksOptions> = {}): Promise<LinuxNetworks> => {
    const networks = LinuxNetworks.open({ ...options, ...changed });
    await networks.recover();
    return networks;
  };
  const world: NetWorld = {
    root,
    instance,
    networks: await open(),
    reopen: async (changed) => {
      await world.networks.release();
      world.networks = await open(changed);
      return world.networks;
    },
    guest: async () => {
      const guest = await startGuest((ended) => guests.delete(ended));
      guests.add(guest);
      return guest;
    },
    request: (guest, extra = {}) => ({ ...requestOf(guest), ...extra }),
    within: (path, line) => run('nsenter', [`--net=${path}`, 'sh', '-c', line]),
    leaks: () => findNetworkLeaks({ instance, spawner }),
    dispose: async () => {
      for (const guest of [...guests]) await guest.end();
      await world.networks.close();
      await spawner.close();
      await rm(root, { recursive: true, force: true });
    },
  };
  return world;
}

function requestOf(guest: Guest): AttachRequest {
  return {
    containerId: guest.id,
    containerName: `c-${guest.id.slice(0, 6)}`,
    pid: guest.pid,
    endpoints: [{ network: 'bridge', aliases: [] }],
    ports: [],
    publishOnNode: false,
    egress: { kind: 'all' },
    sysctls: {},
  };
}

async function startGuest(ended: (guest: Guest) => void): Promise<Guest> {
  const child = spawn('unshare', ['--user', '--map-root-user', '--net', 'sleep', '600'], { stdio: 'ignore' });
  const pid = child.pid ?? 0;
  await untilApart(pid);
  const inside = ['-t', String(pid), '--user', '--preserve-credentials', '--net'];
  const servers: ChildProcess[] = [];
  const folders: string[] = [];
  const guest: Guest = {
    pid,
    id: randomBytes(32).toString('hex'),
    sh: (line) => run('nsenter', [...inside, 'sh', '-c', line]),
    serve: async (port, text) => {
      const folder = await mkdtemp(join(tmpdir(), 'served-'));
      folders.push(folder);
      await writeFile(join(folder, 'index.html'), text);
      servers.push(spawn('nsenter', [...inside, 'busybox', 'httpd', '-f', '-p', String(port), '-h', folder], { stdio: 'ignore' }));
      await guest.untilBound(port);
    },
    untilBound: async (port) => {
      const bound = `:${port.toString(16).toUpperCase().padStart(4, '0')} `;
      const tables = (): Promise<string[]> => Promise.all(['tcp', 'tcp6', 'udp', 'udp6'].map((name) => readFile(`/proc/${pid}/net/${name}`, 'latin1')));
      while (!(await tables()).some((table) => table.includes(bound))) await new Promise((wake) => setTimeout(wake, 20));
    },
    end: async () => {
      ended(guest);
      for (const server of servers) await ending(server);
      await ending(child);
      for (const folder of folders) await rm(folder, { recursive: true, force: true });
    },
  };
  return guest;
}

async function untilApart(pid: number): Promise<void> {
  const own = await readlink('/proc/self/ns/net');
  while ((await readlink(`/proc/${pid}/ns/net`)) === own) await new Promise((wake) => setTimeout(wake, 2));
}

function ending(child: ChildProcess): Promise<void> {
  return new Promise((ended) => {
    if (child.exitCode !== null || child.signalCode !== null) {
      ended();
      return;
    }
    child.once('exit', () => {
      ended();
    });
    child.kill('SIGKILL');
  });
}

export function run(program: string, args: readonly string[]): Promise<CommandResult> {
  return new Promise((done) => {
    execFile(program, args, { timeout: COMMAND_MS, encoding: 'utf8' }, (error, stdout, stderr) => {
      const code = error === null ? 0 : typeof error.code === 'number' ? error.code : -1;
      done({ code, output: stdout + stderr });
    });
  });
}
