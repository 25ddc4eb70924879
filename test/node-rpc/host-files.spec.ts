import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { tenantLimitsSchema } from '#contracts';
import type { ContainerFiles, FileEvent, FileStat } from '#engine';
import { CodedError, newId, silentLogger } from '#kernel';
import { NodeConnection } from '../../apps/gateway/src/nodes/node-connection.js';
import { NodeSockets } from '../../apps/gateway/src/nodes/node-sockets.js';
import { RemoteTenantHost } from '../../apps/gateway/src/nodes/remote-tenant-host.js';
import { hostRoutes } from '../../apps/worker/src/host/host-routes.js';
import type { HostServices } from '../../apps/worker/src/host/host-services.js';
import { RpcServer } from '../../apps/worker/src/node/rpc-server.js';
import { NO_BUILDS } from './no-builds.js';

const TOKEN = 't'.repeat(40);
const tenant = { id: newId('tenant'), limits: tenantLimitsSchema.parse({}) };
const stat: FileStat = { name: 'ö', path: '/ö', kind: 'symlink', sizeBytes: 3, mode: 0o4755, uid: 1, gid: 2, modifiedAt: 5, linkTarget: '\udce9', resolvedTarget: '/x' };
const NEVER = new AbortController().signal;

/** Files that say what they were asked, and take what they are given. */
class AskedFiles implements ContainerFiles {
  readonly asked: unknown[][] = [];
  refuse: CodedError | undefined;
  left = 0;

  stat = (...given: unknown[]) => this.say('stat', given.slice(1), stat);
  list = (...given: unknown[]) => this.say('list', given.slice(1), [stat, stat]);
  pack = (...given: unknown[]) => this.say('pack', given.slice(1), { stat, tar: this.bytes('tar') });
  read = (...given: unknown[]) => this.say('read', given.slice(1), { stat, bytes: this.bytes('content') });
  makeDirectory = (...given: unknown[]) => this.say('makeDirectory', given.slice(1), undefined);
  move = (...given: unknown[]) => this.say('move', given.slice(1), undefined);
  remove = (...given: unknown[]) => this.say('remove', given.slice(1), undefined);

  async extract(_tenant: unknown, ref: string, path: string, tar: AsyncIterable<Uint8Array>, options: object): Promise<void> {
    await this.say('extract', [ref, path, options], undefined);
    this.asked.push([(await buffer(tar)).toString()]);
  }

  async write(_tenant: unknown, ref: string, path: string, content: AsyncIterable<Uint8Array>, options: object): Promise<FileStat> {
    await this.say('write', [ref, path, options], undefined);
    this.asked.push([(await buffer(content)).toString()]);
    return stat;
  }

  async *watch(_tenant: unknown, ref: string, path: string, options: object, signal: AbortSignal): AsyncGenerator<FileEvent> {
    await this.say('watch', [ref, path, options], undefined);
    yield { kind: 'ready', path, directory: true };
    yield { kind: 'moved', path: '/a', to: '/b', directory: false };
    await new Promise((resolve) => {
      signal.addEventListener('abort', resolve, { once: true });
    });
    this.left += 1;
  }

  private say<T>(name: string, given: unknown[], answer: T): Promise<T> {
    this.asked.push([name, ...given]);
    return this.refuse === undefined ? Promise.resolve(answer) : Promise.reject(this.refuse);
  }

  private bytes(text: string): AsyncIterable<Buffer> {
    return Readable.from([Buffer.from(text)]) as AsyncIterable<Buffer>;
  }
}

/** Some of it comes when the answer is on its way already. */
async function* slowly(gapMs: number): AsyncGenerator<Buffer> {
  for (let piece = 0; piece < 20; piece += 1) {
    await new Promise((resolve) => setTimeout(resolve, gapMs / 2));
    yield Buffer.alloc(10_000);
  }
}

describe("a container's files over node RPC", () => {
  const sockets = new NodeSockets();
  let folder: string;
  let server: RpcServer;
  let files: AskedFiles;
  let host: RemoteTenantHost;

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'filesrpc-'));
    const path = join(folder, 's');
    files = new AskedFiles();
    const ensure = () => Promise.resolve();
    const services = { files, disks: { ensure }, cgroups: { ensure }, quotas: { remember: () => undefined } } as unknown as HostServices;
    server = new RpcServer({ listen: { kind: 'unix', path }, groupId: undefined, token: TOKEN, routes: hostRoutes(services, { provide: () => Promise.reject(new Error('no runtime')) }, NO_BUILDS), logger: silentLogger, stallMs: 2000 });
    await server.start();
    host = new RemoteTenantHost(tenant, () => Promise.resolve(new NodeConnection(`unix:${path}`, TOKEN, sockets, 200)));
  });
  afterEach(async () => {
    await server.stop();
    await rm(folder, { recursive: true });
  });
  afterAll(() => {
    sockets.close();
  });

  it('are asked for as they are said, and answered as they are', async () => {
    expect(await host.files.stat('c', '/a b/ö&?')).toEqual(stat);
    expect(await host.files.list('c', '/')).toEqual([stat, stat]);
    await host.files.makeDirectory('c', { path: '/d', parents: true, mode: 0o700, uid: 5 });
    await host.files.move('c', { from: '/a', to: '/b', overwrite: true });
    await host.files.remove('c', '/d', { recursive: true });
    expect(files.asked).toEqual([
      ['stat', 'c', '/a b/ö&?'],
      ['list', 'c', '/'],
      ['makeDirectory', 'c', '/d', { parents: true, mode: 0o700, uid: 5 }],
      ['move', 'c', '/a', '/b', { overwrite: true }],
      ['remove', 'c', '/d', { recursive: true }],
    ]);
  });

  it('come and go as bytes', async () => {
    const packed = await host.files.pack('c', '/x', { contents: true }, NEVER);
    expect([packed.stat, (await buffer(packed.bytes)).toString()]).toEqual([stat, 'tar']);
    const read = await host.files.read('c', '/x', { offset: -5, length: 3 }, NEVER);
    expect([read.stat, (await buffer(read.bytes)).toString()]).toEqual([stat, 'content']);
    await host.files.extract('c', '/x', Readable.from(['archive']), { keepDirectories: true, keepOwners: false }, NEVER);
    expect(await host.files.write('c', '/x', Readable.from(['text']), { mode: 0, uid: 0, overwrite: true }, NEVER)).toEqual(stat);
    expect(files.asked).toEqual([
      ['pack', 'c', '/x', { contents: true }],
      ['read', 'c', '/x', { offset: -5, length: 3 }],
      ['extract', 'c', '/x', { keepDirectories: true, keepOwners: false }],
      ['archive'],
      ['write', 'c', '/x', { mode: 0, uid: 0, overwrite: true }],
      ['text'],
    ]);
  });

  it('are watched until the watcher goes', async () => {
    const leave = new AbortController();
    const seen: unknown[] = [];
    const watching = (async () => {
      for await (const event of host.files.watch('c', '/x', { recursive: true }, leave.signal)) {
        seen.push(event);
        if (seen.length === 2) leave.abort();
      }
    })();
    await expect(watching).rejects.toMatchObject({ code: 'cancelled' });
    expect(seen).toEqual([{ kind: 'ready', path: '/x', directory: true }, { kind: 'moved', path: '/a', to: '/b', directory: false }]);
    while (files.left === 0) await new Promise((resolve) => setTimeout(resolve, 5));
  });

  it('that cannot be had are refused with the engine’s words, however much of an upload is still to come', async () => {
    files.refuse = new CodedError('not_found', 'No such container: c');
    const refused = { code: 'not_found', message: 'No such container: c' };
    await expect(host.files.stat('c', '/')).rejects.toMatchObject(refused);
    await expect(host.files.pack('c', '/', { contents: false }, NEVER)).rejects.toMatchObject(refused);
    for (let turn = 0; turn < 100; turn += 1) {
      await expect(host.files.extract('c', '/', Readable.from(slowly(turn % 7)), { keepDirectories: false, keepOwners: false }, NEVER)).rejects.toMatchObject(refused);
    }
  });

  it.each([
    ['a relative one', 'x'],
    ['none', ''],
    ['one with NUL', '/a\0b'],
    ['one that is too long', `/${'x'.repeat(4096)}`],
  ])('are named by absolute paths, not by %s', async (_, path) => {
    await expect(host.files.stat('c', path)).rejects.toMatchObject({ code: 'invalid_argument' });
    await expect(host.files.makeDirectory('c', { path, parents: false })).rejects.toMatchObject({ code: 'invalid_argument' });
    expect(files.asked).toEqual([]);
  });
});
