import { once } from 'node:events';
import { WebSocket } from 'ws';
import type { ErrorBody, EventFrame, TicketView } from '#contracts';
import { startDockerFixture, type DockerFixture } from '../protocols/docker/docker-fixture.contract.js';

describe("events of a tenant's host", () => {
  let fixture: DockerFixture;
  let controller: AbortController;

  beforeAll(async () => {
    fixture = await startDockerFixture();
  }, 60_000);
  afterAll(() => fixture.stop());
  beforeEach(() => {
    controller = new AbortController();
    fixture.host.coveredSince = 0n;
  });
  afterEach(() => {
    controller.abort();
  });

  /** The frames of a plain request, as they come. */
  async function* follow(query = '', key = fixture.key): AsyncGenerator<EventFrame> {
    const answer = await fetch(`${fixture.gateway.url}/v1/events${query}`, { headers: { authorization: `Bearer ${key}` }, signal: controller.signal });
    expect({ status: answer.status, type: answer.headers.get('content-type') }).toEqual({ status: 200, type: 'application/x-ndjson' });
    const decoder = new TextDecoder();
    let rest = '';
    for await (const chunk of answer.body as unknown as AsyncIterable<Uint8Array>) {
      const lines = (rest + decoder.decode(chunk, { stream: true })).split('\n');
      rest = lines.pop() ?? '';
      for (const line of lines) yield JSON.parse(line) as EventFrame;
    }
  }

  async function next(frames: AsyncGenerator<EventFrame>): Promise<EventFrame> {
    const step = await frames.next();
    if (step.done === true) throw new Error('the stream ended');
    return step.value;
  }

  const socketTo = (query: string, key?: string): WebSocket => new WebSocket(`${fixture.gateway.url.replace('http', 'ws')}/v1/events${query}`, key === undefined ? {} : { headers: { authorization: `Bearer ${key}` } });

  it('begins with its place, tells what happens, and can be taken up after any event', async () => {
    const { host } = fixture;
    const live = follow();
    const beginning = await next(live);
    expect(beginning.frame).toBe('heartbeat');
    host.publish('container', 'die', 'c1', { name: 'web', exitCode: '3' });
    host.publish('volume', 'create', 'data');
    const first = await next(live);
    expect(first).toMatchObject({ frame: 'event', type: 'sandbox', action: 'exit', subject: 'c1', attributes: { name: 'web', exitCode: '3' } });
    expect(await next(live)).toMatchObject({ type: 'volume', action: 'create', subject: 'data' });
    const again = follow(`?after=${first.id}`);
    expect(await next(again)).toMatchObject({ frame: 'heartbeat', id: first.id });
    expect(await next(again)).toMatchObject({ type: 'volume', subject: 'data' });
    const whole = follow(`?after=${beginning.id}`);
    await next(whole);
    expect((await next(whole)).id).toBe(first.id);
  });

  it('lets through what the filters name', async () => {
    const { host } = fixture;
    const filtered = [follow('?type=sandbox&type=volume&action=remove'), follow('?subject=web'), follow('?subject=c2')];
    for (const frames of filtered) await next(frames);
    host.publish('image', 'delete', 'i1');
    host.publish('container', 'destroy', 'c2', { name: 'web' });
    for (const frames of filtered) expect(await next(frames)).toMatchObject({ type: 'sandbox', action: 'remove', subject: 'c2' });
  });

  it('says 410 when it cannot tell all', async () => {
    fixture.host.coveredSince = 1_000n;
    const { status, body } = await fixture.gateway.call<ErrorBody>(fixture.key, 'GET', '/v1/events?after=999');
    expect({ status, code: body.error.code }).toEqual({ status: 410, code: 'gone' });
    const socket = socketTo('?after=999', fixture.key);
    socket.on('error', () => undefined);
    const [, response] = (await once(socket, 'unexpected-response')) as [unknown, { statusCode: number }];
    expect(response.statusCode).toBe(410);
    socket.terminate();
  });

  it('tells the same over a WebSocket, with a ticket too', async () => {
    const { body } = await fixture.gateway.call<TicketView>(fixture.key, 'POST', '/v1/tickets', {});
    for (const connect of [() => socketTo('?type=network', fixture.key), () => socketTo(`?type=network&ticket=${body.ticket}`)]) {
      const socket = connect();
      const heard: EventFrame[] = [];
      socket.on('message', (data: Buffer) => heard.push(JSON.parse(data.toString()) as EventFrame));
      await once(socket, 'message');
      fixture.host.publish('network', 'create', 'n1');
      await once(socket, 'message');
      expect(heard.map(({ frame }) => frame)).toEqual(['heartbeat', 'event']);
      socket.close();
      await once(socket, 'close');
    }
  });

  it("tells nothing of another tenant's, and nothing to a key without the scope", async () => {
    const stranger = await fixture.gateway.tenant();
    const theirs = follow('', stranger.key);
    await next(theirs);
    fixture.host.publish('volume', 'create', 'ours');
    fixture.hosts.memory(stranger.id).publish('volume', 'create', 'theirs');
    expect(await next(theirs)).toMatchObject({ subject: 'theirs' });
    const runner = await fixture.gateway.tenant({}, ['runs:read']);
    expect((await fixture.gateway.call(runner.key, 'GET', '/v1/events')).status).toBe(403);
    const socket = socketTo('', runner.key);
    socket.on('error', () => undefined);
    const [, response] = (await once(socket, 'unexpected-response')) as [unknown, { statusCode: number }];
    expect(response.statusCode).toBe(403);
    socket.terminate();
  });

  it.each(['?after=x', '?after=-1', '?type=container', '?since=1', '?action='])('refuses %s', async (query) => {
    expect((await fixture.gateway.call(fixture.key, 'GET', `/v1/events${query}`)).status).toBe(400);
  });

  it('lets go of the host when the reader hangs up', async () => {
    const frames = follow();
    await next(frames);
    const listeners = fixture.host.bell.listenerCount('event');
    controller.abort();
    await expect(frames.next()).rejects.toThrow();
    while (fixture.host.bell.listenerCount('event') >= listeners) await new Promise((resolve) => setTimeout(resolve, 10));
  });
});
