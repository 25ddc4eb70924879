import { connect } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import type { ErrorBody } from '#contracts';
import { startDockerFixture, type DockerFixture } from './docker-fixture.contract.js';

describe("Docker's API over HTTP", () => {
  let fixture: DockerFixture;
  const call = <T = { message: string }>(method: string, path: string, body?: unknown, headers?: Record<string, string>) => fixture.gateway.call<T>(fixture.key, method, path, body, headers);

  beforeAll(async () => {
    fixture = await startDockerFixture({ settings: { requestTimeoutMs: 2_000 } });
  }, 60_000);
  afterAll(() => fixture.stop());

  /** Writes pieces of a request and reads until the connection ends. */
  const raw = (pieces: readonly (string | Buffer | number)[]): Promise<string> =>
    new Promise((resolve) => {
      const socket = connect(Number(new URL(fixture.gateway.url).port), '127.0.0.1');
      let text = '';
      socket.on('data', (chunk: Buffer) => { text += chunk.toString('latin1'); });
      socket.on('error', () => undefined);
      socket.once('close', () => { resolve(text); });
      void (async () => {
        for (const piece of pieces) {
          if (typeof piece === 'number') await sleep(piece);
          else socket.write(piece);
        }
      })();
    });
  const auth = () => `Host: x\r\nAuthorization: Bearer ${fixture.key}\r\nConnection: close\r\n`;

  describe('paths', () => {
    it('stand with and without a version', async () => {
      for (const prefix of ['', '/v1.24', '/v1.43', '/v1.50']) expect((await call('GET', `${prefix}/version`)).status).toBe(200);
    });

    it.each([
      ['1.51', 'client version 1.51 is too new. Maximum supported API version is 1.50'],
      ['2.0', 'client version 2.0 is too new. Maximum supported API version is 1.50'],
      ['1.100', 'client version 1.100 is too new. Maximum supported API version is 1.50'],
      ['1.23', 'client version 1.23 is too old. Minimum supported API version is 1.24, please upgrade your client to a newer version'],
      ['0.9', 'client version 0.9 is too old. Minimum supported API version is 1.24, please upgrade your client to a newer version'],
    ])('refuse version %s', async (version, message) => {
      expect(await call('GET', `/v${version}/info`)).toMatchObject({ status: 400, body: { message } });
    });

    it('leave REST as it is', async () => {
      expect((await call('GET', '/v1/me')).status).toBe(200);
      expect(await call<ErrorBody>('GET', '/v1/nosuch')).toMatchObject({ status: 404, body: { error: { code: 'not_found' } } });
      // What stands inside cannot be named from outside.
      for (const path of ['/docker/info', '/docker/_ping', '/docker', '/-/docker/info']) expect(await call<ErrorBody>('GET', path)).toMatchObject({ status: 404, body: { error: { code: 'not_found' } } });
    });

    it('that are none are said so, and known ones that are not served otherwise', async () => {
      expect(await call('GET', '/v1.50/nosuch')).toMatchObject({ status: 404, body: { message: 'page not found' } });
      expect(await call('POST', '/v1.50/containers/json')).toMatchObject({ status: 404, body: { message: 'page not found' } });
      expect(await call('POST', '/v1.50/build/cancel?id=x')).toMatchObject({ status: 501 });
      expect(await call('GET', '/v1.50/plugins')).toMatchObject({ status: 501 });
      expect(await call('GET', '/v1.50/services')).toMatchObject({ status: 503, body: { message: expect.stringContaining('not a swarm manager') } });
      expect(await call('GET', '/v1.50/distribution/a/b/json')).toMatchObject({ status: 501 });
    });

    it.each(['127.0.0.1:5000/a/b:tag', '127.0.0.1%3A5000%2Fa%2Fb%3Atag', '127.0.0.1:5000%2Fa/b:tag'])('hold names of images such as %s', async (name) => {
      expect((await call('POST', '/v1.50/images/busybox/tag?repo=127.0.0.1:5000/a/b&tag=tag')).status).toBe(201);
      expect(await call<{ RepoTags: string[] }>('GET', `/v1.50/images/${name}/json`)).toMatchObject({ status: 200, body: { RepoTags: expect.arrayContaining(['127.0.0.1:5000/a/b:tag']) } });
      expect((await call('GET', `/images/${name}/history`)).status).toBe(200);
      expect((await call('GET', `/images/${name}/get`)).status).toBe(200);
      expect(await raw([`POST /images/${name}/push HTTP/1.1\r\n${auth()}\r\n`])).toMatch(/^HTTP\/1.1 200[^]*"aux":\{"Tag":"latest","Digest":"sha256:/);
      expect((await call('POST', `/images/${name}/tag?repo=other/json`)).status).toBe(201);
      expect((await call('DELETE', '/images/other/json')).status).toBe(200);
      expect(await call<object[]>('DELETE', `/v1.50/images/${name}`)).toMatchObject({ status: 200, body: [{ Untagged: '127.0.0.1:5000/a/b:tag' }] });
    });

    it('that cannot be decoded, or are very long, are errors of ours', async () => {
      expect(await call('GET', '/v1.50/images/%zz/json')).toMatchObject({ status: 400, body: { message: expect.any(String) } });
      expect((await call('GET', `/v1.50/images/${'a'.repeat(5_000)}/json`)).status).toBeGreaterThanOrEqual(400);
      expect((await call('GET', `/v1.50/images/${'a/'.repeat(200)}b/json`)).status).toBe(400);
    });
  });

  describe('bodies', () => {
    it.each([undefined, 'text/plain', 'application/json', 'application/x-tar', 'nonsense'])('are read whatever their type is: %s', async (type) => {
      const body = JSON.stringify({ name: `v-${(type ?? 'none').replace(/\W/g, '')}`, LABELS: { a: 'b' }, unknown: 1 });
      const head = `POST /v1.50/volumes/create HTTP/1.1\r\n${auth()}${type === undefined ? '' : `Content-Type: ${type}\r\n`}Content-Length: ${body.length}\r\n\r\n`;
      expect(await raw([head, body])).toMatch(/^HTTP\/1.1 201[^]*"Labels":\{"a":"b"\}/);
    });

    it('that are no JSON, or of wrong members, are refused', async () => {
      expect(await call('POST', '/volumes/create', '{"Name":')).toMatchObject({ status: 400, body: { message: expect.stringMatching(/^invalid JSON/) } });
      expect(await call('POST', '/volumes/create', '[]')).toMatchObject({ status: 400 });
      expect(await call('POST', '/volumes/create', { Name: 7 })).toMatchObject({ status: 400, body: { message: expect.stringMatching(/name/) } });
      expect(await call('POST', '/containers/create', { Image: 'busybox', HostConfig: { Binds: 'x' } })).toMatchObject({ status: 400, body: { message: expect.stringMatching(/HostConfig.Binds/) } });
      expect(await call('POST', '/containers/create', 'x'.repeat(5 * 1024 * 1024))).toMatchObject({ status: 413 });
    });

    it('of unknown senders are not read, and the answer arrives all the same', async () => {
      const before = fixture.host.received;
      const chunk = Buffer.concat([Buffer.from('10000\r\n'), Buffer.alloc(65_536), Buffer.from('\r\n')]);
      const answer = await raw(['POST /v1.50/images/load HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nContent-Type: application/x-tar\r\n\r\n', chunk, chunk, chunk, 100, chunk]);
      expect(answer).toMatch(/^HTTP\/1.1 401[^]*\{"message":"a valid API key/);
      expect(fixture.host.received).toBe(before);
    });

    it('may take longer than any other request', async () => {
      const answer = await raw([`POST /v1.50/images/load?quiet=0 HTTP/1.1\r\n${auth()}Transfer-Encoding: chunked\r\n\r\n`, '5\r\nhello\r\n', 2_500, '6\r\n world\r\n0\r\n\r\n']);
      expect(answer).toMatch(/^HTTP\/1.1 200[^]*\{"status":"Loading layer","progressDetail":\{"current":5,"total":10\},"progress":"\[=+> +\]  5B\/10B","id":"abc"\}\r\n/);
      expect(answer).toContain('{"stream":"Loaded image: loaded:1\\n"}\r\n');
      expect(fixture.host.received.bytes).toBe(11);
    });

    it('that are refused at their beginning still get their answer, and the connection goes on', async () => {
      const piece = (text: string): string => `${text.length.toString(16)}\r\n${text}\r\n`;
      const answer = await raw([
        `POST /v1.50/images/load HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${fixture.key}\r\nTransfer-Encoding: chunked\r\n\r\n`,
        piece(`REJECT${'x'.repeat(100_000)}`), 200, piece('y'.repeat(200_000)), 100, piece('z'.repeat(200_000)), '0\r\n\r\n',
        100, `GET /_ping HTTP/1.1\r\n${auth()}\r\n`,
      ]);
      expect(answer.match(/HTTP\/1.1 \d+/g)).toEqual(['HTTP/1.1 400', 'HTTP/1.1 200']);
      expect(answer).toContain('{"message":"archive/tar: invalid tar header"}');
    });

    it('of REST must still come in time', async () => {
      expect(await raw([`POST /v1/runs HTTP/1.1\r\n${auth()}Content-Type: application/json\r\nContent-Length: 100\r\n\r\n{`])).toMatch(/^HTTP\/1.1 408/);
    });

    it('leave the connection usable', async () => {
      const two = `GET /v1.50/nosuch HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${fixture.key}\r\n\r\n`;
      expect((await raw([`POST /v1.50/plugins/x HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${fixture.key}\r\nContent-Length: 10\r\n\r\n0123456789`, 50, two, 50, `GET /_ping HTTP/1.1\r\n${auth()}\r\n`])).match(/HTTP\/1.1 \d+/g)).toEqual(['HTTP/1.1 501', 'HTTP/1.1 404', 'HTTP/1.1 200']);
    });
  });

  it('cancels a pull whose reader has gone', async () => {
    const leave = new AbortController();
    const response = await fetch(`${fixture.gateway.url}/v1.50/images/create?fromImage=endless&tag=latest`, { method: 'POST', headers: { authorization: `Bearer ${fixture.key}` }, signal: leave.signal });
    expect(response.status).toBe(200);
    const before = fixture.operations.cancelled.length;
    leave.abort();
    for (let tries = 0; tries < 500 && fixture.operations.cancelled.length === before; tries += 1) await sleep(20);
    expect(fixture.operations.cancelled.length).toBe(before + 1);
  });

  it('sends the headers of a wait before anything has ended', async () => {
    const { body } = await call<{ Id: string }>('POST', '/containers/create?name=waited', { Image: 'busybox', Cmd: ['exit', '7'] });
    const response = await fetch(`${fixture.gateway.url}/containers/${body.Id}/wait?condition=next-exit`, { method: 'POST', headers: { authorization: `Bearer ${fixture.key}` } });
    expect(response.status).toBe(200);
    expect((await call('POST', `/containers/${body.Id}/start`)).status).toBe(204);
    expect(await response.json()).toEqual({ StatusCode: 7 });
    expect((await call('POST', `/containers/${body.Id}/stop`)).status).toBe(304);
    expect(await call('POST', `/containers/${body.Id}/wait?condition=never`)).toMatchObject({ status: 400, body: { message: 'invalid condition: "never"' } });
    expect(await call('GET', `/containers/${body.Id}/logs`)).toMatchObject({ status: 400, body: { message: 'Bad parameters: you must choose at least one stream' } });
  });

  it('follows events from their past into their future', async () => {
    const response = await fetch(`${fixture.gateway.url}/v1.50/events?since=1&filters=${encodeURIComponent('{"type":["volume"],"event":{"create":true}}')}`, { headers: { authorization: `Bearer ${fixture.key}` } });
    expect(response.headers.get('content-type')).toBe('application/json');
    await call('POST', '/volumes/create', { Name: 'eventful' });
    let text = '';
    for await (const chunk of response.body as unknown as AsyncIterable<Uint8Array>) {
      text += Buffer.from(chunk).toString();
      if (text.includes('eventful')) break;
    }
    const last = text.trim().split('\n').at(-1) ?? '';
    expect(JSON.parse(last)).toMatchObject({ Type: 'volume', Action: 'create', Actor: { ID: 'eventful', Attributes: { driver: 'local' } }, scope: 'local', time: expect.any(Number) });
    // Nanoseconds are written in full: 19 digits.
    expect(last).toMatch(/"timeNano":\d{19}\}$/);
  });

  it('gives an old client what it knows', async () => {
    expect((await call<object[]>('GET', '/v1.43/images/json')).body[0]).toHaveProperty('VirtualSize');
    expect((await call<object[]>('GET', '/v1.50/images/json')).body[0]).not.toHaveProperty('VirtualSize');
    await call('POST', '/v1.41/volumes/prune');
    expect(fixture.host.calls.at(-1)).toEqual({ name: 'pruneVolumes', given: { all: true } });
    await call('POST', '/v1.42/volumes/prune');
    expect(fixture.host.calls.at(-1)).toEqual({ name: 'pruneVolumes', given: { all: false } });
    await call('POST', `/images/prune?filters=${encodeURIComponent('{"dangling":["false"],"until":["24h"],"label":["a=b"],"label!":["c"]}')}`);
    expect(fixture.host.calls.at(-1)).toEqual({ name: 'pruneImages', given: { all: true, labels: ['a=b'], labelsNot: ['c'], untilMs: expect.any(Number) } });
    expect(await call('POST', `/images/prune?filters=${encodeURIComponent('{"nosuch":["x"]}')}`)).toMatchObject({ status: 400, body: { message: "invalid filter 'nosuch'" } });
  });

  it('takes a whole create body in the query beside the one that counts', async () => {
    const query = encodeURIComponent(JSON.stringify({ Env: [`A=${'x'.repeat(20_000)}`] }));
    expect((await call('POST', `/containers/create?name=wide&body=${query}`, { image: 'busybox' })).status).toBe(201);
  });

  it('ends what would last for ever when the gateway goes down, and lets a pull go on', async () => {
    const other = await startDockerFixture({ settings: { shutdownGraceMs: 8_000 } });
    const headers = { authorization: `Bearer ${other.key}` };
    const events = await fetch(`${other.gateway.url}/events`, { headers });
    const pull = await fetch(`${other.gateway.url}/images/create?fromImage=endless&tag=latest`, { method: 'POST', headers });
    const began = performance.now();
    const texts = Promise.all([events.text(), pull.text()]);
    await other.stop();
    expect((await texts)[0]).toBe('');
    expect((await texts)[1]).toContain('"error":"the server goes down, the pull goes on: ask again"');
    expect(performance.now() - began).toBeLessThan(6_000);
    expect(other.operations.cancelled).toEqual([]);
  }, 60_000);
});
