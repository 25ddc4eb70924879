import { createServer, type Server } from 'node:http';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { NodeHeartbeat } from '#contracts';
import { newId, type Clock } from '#kernel';
import type { NodeRegistry } from '#queue';
import type { GatewaySettings } from '../platform/settings.js';
import { RuntimeCatalogue } from './runtime-catalogue.service.js';
import { RuntimeInstalls } from './runtime-installs.service.js';

const TOKEN = 'a-token-of-the-tests-only';
const view = (name: string) => ({ name, title: name, aliases: [`${name}-alias`], version: '1', mainFile: 'main', compiled: false });

/** Nodes by their heartbeats, each with a socket that answers what an installation asks. */
describe('languages on several nodes', () => {
  let folder: string;
  let servers: Server[];
  let nodes: NodeHeartbeat[];
  let asked: string[];
  let catalogue: RuntimeCatalogue;
  let installs: RuntimeInstalls;

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'installs-'));
    [servers, nodes, asked] = [[], [], []];
    const registry = { list: () => Promise.resolve([...nodes]) } as unknown as NodeRegistry;
    catalogue = new RuntimeCatalogue(registry, { now: () => 1000 } as unknown as Clock);
    installs = new RuntimeInstalls(registry, { nodeRpcToken: TOKEN } as unknown as GatewaySettings, catalogue);
  });
  afterEach(async () => {
    installs.onApplicationShutdown();
    for (const server of servers) server.close();
    await rm(folder, { recursive: true });
  });

  async function joins(runtimes: string[], available: string[], answer: { status: number; body: object }, ready = true): Promise<void> {
    const path = join(folder, `${nodes.length}`);
    const server = createServer((request, response) => {
      asked.push(`${request.method ?? ''} ${request.url ?? ''} ${String(request.headers.authorization === `Bearer ${TOKEN}`)}`);
      response.writeHead(answer.status, { 'content-type': 'application/json' }).end(JSON.stringify(answer.body));
    });
    servers.push(server);
    await new Promise<void>((resolve) => server.listen(path, resolve));
    nodes.push({ nodeId: newId('node'), incarnation: 'i', rpcUrl: `unix:${path}`, startedAt: 0, runIds: [], runtimes: runtimes.map(view), availableRuntimes: available.map((name) => ({ name, title: name })), ready });
  }
  const says = (state: string, percent = 0) => ({ status: 200, body: { name: 'java', state, percent, message: 'm' } });
  const unknown = { status: 404, body: { error: { code: 'not_found', message: 'no runtime "java" is defined here', details: {}, requestId: 'r' } } };

  it('are offered when every node that takes runs has them', async () => {
    await joins(['python', 'java'], [], says('installed'));
    await joins(['python'], ['java'], says('available'));
    await joins([], ['python', 'java'], says('available'), false);
    expect((await catalogue.list()).map(({ name }) => name)).toEqual(['python']);
    expect(await catalogue.available()).toEqual([{ name: 'java', title: 'java' }]);
    expect(await catalogue.resolve('python-alias')).toBe('python');
    await expect(catalogue.resolve('java')).rejects.toMatchObject({ code: 'invalid_argument' });
  });

  it('are those of starting nodes while none is ready', async () => {
    await joins(['python'], [], says('available'), false);
    expect(await catalogue.resolve('python')).toBe('python');
    expect(await catalogue.readyNodes()).toBe(0);
  });

  it('are installed on all nodes, and each tells how it goes', async () => {
    await joins([], ['java'], says('installing', 40));
    await joins(['java'], [], says('installed', 100));
    expect(await installs.begin('java')).toMatchObject({ name: 'java', nodes: [{ state: 'installing', percent: 40, message: 'm' }, { state: 'installed' }] });
    await installs.get('java');
    expect(asked).toEqual(['POST', 'POST', 'GET', 'GET'].map((method) => `${method} /runtimes/java/install true`));
  });

  it('are not called installed before they are offered', async () => {
    await joins([], ['java'], says('installed', 100));
    expect((await catalogue.list()).map(({ name }) => name)).toEqual([]);
    expect((await installs.get('java')).nodes[0]).toMatchObject({ state: 'installing', message: 'is announced' });
    nodes[0] = { ...nodes[0]!, runtimes: [view('java')] };
    expect((await installs.get('java')).nodes[0]).toMatchObject({ state: 'installed' });
    expect((await catalogue.list()).map(({ name }) => name)).toEqual(['java']);
  });

  it('are unknown when no node knows them, and fail on the one that does not', async () => {
    await expect(installs.begin('java')).rejects.toMatchObject({ code: 'unavailable' });
    await joins([], [], unknown);
    await expect(installs.begin('java')).rejects.toMatchObject({ code: 'not_found' });
    await joins([], ['java'], says('waiting'));
    expect((await installs.begin('java')).nodes).toMatchObject([{ state: 'failed', message: expect.stringContaining('no runtime') }, { state: 'waiting' }]);
  });

  it('are neither there nor unknown when no node answers', async () => {
    await joins([], ['java'], says('available'));
    servers[0]?.close();
    await expect(installs.begin('java')).rejects.toMatchObject({ code: 'unavailable' });
  });

  it('cannot be named so that another path of the node is asked', async () => {
    await joins([], ['java'], unknown);
    await expect(installs.begin('../tenants/x')).rejects.toMatchObject({ code: 'not_found' });
    expect(asked).toEqual(['POST /runtimes/..%2Ftenants%2Fx/install true']);
  });
});
