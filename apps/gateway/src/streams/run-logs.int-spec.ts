import { once } from 'node:events';
import { request } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { WebSocket } from 'ws';
import type { ErrorBody, LogFrame, RunView, TicketView } from '#contracts';
import { newId, type RunId, type TenantId } from '#kernel';
import { startFixture, type Fixture } from '../testing/gateway-fixture.contract.js';
import { printsFortyTwo, runsUntilCancelled, type SimulatedNode } from '../testing/simulated-node.contract.js';

interface Heard {
  readonly frames: LogFrame[];
  readonly code: number;
}

describe('logs', () => {
  let gateway: Fixture;
  let node: SimulatedNode;
  let key: string;
  let tenantId: string;
  const program = { runtime: 'python', code: 'print(6*7)' };

  beforeAll(async () => {
    gateway = await startFixture({ settings: { logGraceSeconds: 1 } });
    node = await gateway.node();
    ({ key, id: tenantId } = await gateway.tenant());
  }, 60_000);
  afterAll(() => gateway.stop());
  beforeEach(() => {
    node.behaviour = printsFortyTwo;
  });

  const socket = (path: string, bearer?: string): WebSocket => new WebSocket(gateway.url.replace('http', 'ws') + path, bearer === undefined ? {} : { headers: { authorization: `Bearer ${bearer}` } });

  async function hear(path: string, bearer?: string): Promise<Heard> {
    const client = socket(path, bearer);
    const frames: LogFrame[] = [];
    client.on('message', (data: Buffer) => frames.push(JSON.parse(data.toString()) as LogFrame));
    const [code] = (await once(client, 'close')) as [number];
    return { frames, code };
  }

  /** The HTTP answer to an upgrade that is refused. */
  async function refused(path: string, bearer?: string): Promise<{ status: number; body: ErrorBody }> {
    const client = socket(path, bearer);
    client.on('error', () => undefined);
    const [, response] = (await once(client, 'unexpected-response')) as [unknown, NodeJS.ReadableStream & { statusCode: number }];
    let text = '';
    for await (const chunk of response) text += String(chunk);
    client.terminate();
    return { status: response.statusCode, body: JSON.parse(text) as ErrorBody };
  }

  async function finished(): Promise<string> {
    return (await gateway.call<RunView>(key, 'POST', '/v1/runs?wait=true', program)).body.id;
  }

  const types = (frames: readonly LogFrame[]): string[] => frames.map((frame) => `${frame.seq} ${frame.type}`);

  it('gives a late subscriber everything, from Redis and then from PostgreSQL', async () => {
    const id = await finished();
    const early = await hear(`/v1/runs/${id}/logs`, key);
    expect({ frames: types(early.frames), code: early.code }).toEqual({ frames: ['1 output', '2 end'], code: 1000 });
    while ((await gateway.platform.logs.last(id as RunId)) !== undefined) await sleep(100);
    const late = await hear(`/v1/runs/${id}/logs`, key);
    expect(late).toEqual(early);
    expect(types((await hear(`/v1/runs/${id}/logs?after=1`, key)).frames)).toEqual(['2 end']);
    // Who has it all is told so.
    expect(types((await hear(`/v1/runs/${id}/logs?after=2`, key)).frames)).toEqual(['2 end']);
    const plain = await gateway.call<string>(key, 'GET', `/v1/runs/${id}/logs`);
    expect(plain.headers.get('content-type')).toBe('application/x-ndjson');
    expect(plain.body.trim().split('\n').map((line) => JSON.parse(line) as LogFrame)).toEqual(early.frames);
  }, 15_000);

  it('follows a run that goes on, from before its start to its cancellation', async () => {
    node.behaviour = runsUntilCancelled;
    const { body } = await gateway.call<RunView>(key, 'POST', '/v1/runs', program);
    const heard = hear(`/v1/runs/${body.id}/logs`, key);
    await gateway.untilState(key, body.id, 'running');
    expect((await gateway.call<string>(key, 'GET', `/v1/runs/${body.id}/logs?follow=false`)).body).toContain('first');
    await gateway.call(key, 'POST', `/v1/runs/${body.id}/cancel`);
    const { frames, code } = await heard;
    expect({ frames: types(frames), code }).toEqual({ frames: ['1 output', '2 end'], code: 1000 });
    expect(frames.at(-1)).toMatchObject({ state: 'cancelled' });
  });

  it('ends the log of a run that never started', async () => {
    node.behaviour = runsUntilCancelled;
    const one = await gateway.tenant({ concurrentRuns: 1 });
    const first = await gateway.call<RunView>(one.key, 'POST', '/v1/runs', program);
    const second = await gateway.call<RunView>(one.key, 'POST', '/v1/runs', program);
    const heard = hear(`/v1/runs/${second.body.id}/logs`, one.key);
    await sleep(100);
    await gateway.call(one.key, 'POST', `/v1/runs/${second.body.id}/cancel`);
    expect(types((await heard).frames)).toEqual(['1 end']);
    await gateway.call(one.key, 'POST', `/v1/runs/${first.body.id}/cancel`);
  });

  it('takes a ticket once, and not one of a revoked key', async () => {
    const id = await finished();
    const { body } = await gateway.call<TicketView>(key, 'POST', '/v1/tickets', {});
    expect((await hear(`/v1/runs/${id}/logs?ticket=${body.ticket}`)).code).toBe(1000);
    const again = await refused(`/v1/runs/${id}/logs?ticket=${body.ticket}`);
    expect({ status: again.status, code: again.body.error.code }).toEqual({ status: 401, code: 'unauthenticated' });
    const other = await gateway.tenant();
    const ticket = await gateway.call<TicketView>(other.key, 'POST', '/v1/tickets');
    await gateway.call(other.key, 'DELETE', `/v1/keys/${other.keyId}`);
    expect((await refused(`/v1/runs/${id}/logs?ticket=${ticket.body.ticket}`)).status).toBe(401);
    expect((await gateway.call(key, 'POST', '/v1/tickets', { ttl: 1 })).status).toBe(400);
  });

  it('refuses an upgrade with an HTTP answer', async () => {
    const id = await finished();
    const stranger = await gateway.tenant();
    const writer = await gateway.tenant({}, ['runs:write']);
    expect((await refused(`/v1/runs/${id}/logs`)).status).toBe(401);
    const unknown = await refused(`/v1/runs/${newId('run')}/logs`, key);
    const others = await refused(`/v1/runs/${id}/logs`, stranger.key);
    expect(unknown.status).toBe(404);
    expect({ ...others.body.error, requestId: '' }).toEqual({ ...unknown.body.error, requestId: '' });
    expect((await refused(`/v1/runs/${id}/logs`, writer.key)).status).toBe(403);
    expect((await refused(`/v1/runs/${id}/logs?after=x`, key)).status).toBe(400);
    expect((await refused('/v1/nothing', key)).status).toBe(404);
  });

  it('says 410 when neither Redis nor PostgreSQL has the log', async () => {
    const id = await finished();
    const { runLogs } = gateway.platform.repositories;
    while ((await runLogs.load(tenantId as TenantId, id as RunId)) === undefined) await sleep(10);
    loseSavedLog(gateway);
    await gateway.platform.logs.delete(id as RunId);
    const { status, body } = await gateway.call<ErrorBody>(key, 'GET', `/v1/runs/${id}/logs`);
    expect({ status, code: body.error.code }).toEqual({ status: 410, code: 'gone' });
  });

  it('closes a socket that sends too much, and answers plain requests that offer h2c', async () => {
    node.behaviour = runsUntilCancelled;
    const { body } = await gateway.call<RunView>(key, 'POST', '/v1/runs', program);
    const client = socket(`/v1/runs/${body.id}/logs`, key);
    await once(client, 'open');
    client.send('x'.repeat(5000));
    const [code] = (await once(client, 'close')) as [number];
    expect(code).toBe(1009);
    await gateway.call(key, 'POST', `/v1/runs/${body.id}/cancel`);
    const asked = request(`${gateway.url}/health/live`, { headers: { connection: 'Upgrade, HTTP2-Settings', upgrade: 'h2c', 'http2-settings': 'AAMAAABkAAQCAAAAAAIAAAAA' } }).end();
    const [response] = (await once(asked, 'response')) as [{ statusCode: number; resume(): void }];
    response.resume();
    expect(response.statusCode).toBe(200);
  });

  it('frees everything when a reader hangs up', async () => {
    node.behaviour = runsUntilCancelled;
    const { body } = await gateway.call<RunView>(key, 'POST', '/v1/runs', program);
    await gateway.untilState(key, body.id, 'running');
    const follow = countFollowers(gateway);
    const controller = new AbortController();
    const response = await fetch(`${gateway.url}/v1/runs/${body.id}/logs`, { headers: { authorization: `Bearer ${key}` }, signal: controller.signal });
    await response.body?.getReader().read();
    controller.abort();
    const client = socket(`/v1/runs/${body.id}/logs`, key);
    await once(client, 'message');
    client.terminate();
    await sleep(200);
    expect(follow.ended).toBe(follow.begun);
    expect(follow.begun).toBe(2);
    await gateway.call(key, 'POST', `/v1/runs/${body.id}/cancel`);
  });
});

/** Makes the saved log of the next read absent, as retention or a lost disk would. */
function loseSavedLog(gateway: Fixture): void {
  const { runLogs } = gateway.platform.repositories;
  const load = runLogs.load.bind(runLogs);
  runLogs.load = () => {
    runLogs.load = load;
    return Promise.resolve(undefined);
  };
}

/** Counts followers that began and ended. */
function countFollowers(gateway: Fixture): { begun: number; ended: number } {
  const counts = { begun: 0, ended: 0 };
  const { logs } = gateway.platform;
  const follow = logs.follow.bind(logs);
  logs.follow = async function* (...args) {
    counts.begun += 1;
    try {
      yield* follow(...args);
    } finally {
      counts.ended += 1;
    }
  };
  return counts;
}
