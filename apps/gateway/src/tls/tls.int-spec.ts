import { execFile, execFileSync } from 'node:child_process';
import { createPrivateKey, createPublicKey, generateKeyPairSync } from 'node:crypto';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { request as httpsRequest } from 'node:https';
import { connect as connectTcp } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { connect, type ConnectionOptions } from 'node:tls';
import { WebSocket } from 'ws';
import type { CertificateView } from '#contracts';
import { startDockerFixture, type DockerFixture } from '../protocols/docker/docker-fixture.contract.js';
import { newAuthorityBundle, TlsIdentity } from './tls-identity.js';

describe('TLS beside HTTP', () => {
  const identity = TlsIdentity.parse(newAuthorityBundle(Date.now()));
  const { authorityPem: ca } = identity;
  let fixture: DockerFixture;
  let folder: string;
  let port: number;
  let certificate: CertificateView;

  beforeAll(async () => {
    fixture = await startDockerFixture({ settings: { tls: { identity, names: ['localhost', '127.0.0.1'] } } });
    port = Number(new URL(fixture.gateway.url).port);
    folder = mkdtempSync(join(tmpdir(), 'tls-'));
    certificate = (await fixture.gateway.call<CertificateView>(fixture.key, 'POST', '/v1/me/certificate', {})).body;
  }, 60_000);
  afterAll(async () => {
    await fixture.stop();
    rmSync(folder, { recursive: true });
  });

  const get = (path: string, options: object, headers: Record<string, string> = {}): Promise<{ status: number; text: string }> =>
    new Promise((resolve, reject) => {
      const request = httpsRequest({ host: '127.0.0.1', port, path, ca, agent: false, headers, ...options }, (response) => {
        let text = '';
        response.on('data', (chunk: Buffer) => { text += chunk.toString(); });
        response.on('end', () => { resolve({ status: response.statusCode ?? 0, text }); });
      });
      request.on('error', reject);
      request.end();
    });
  const own = () => ({ cert: certificate.certificate, key: certificate.key ?? '' });

  it('serves REST with a header, and by certificate', async () => {
    expect(await get('/v1/me', {})).toMatchObject({ status: 401 });
    expect(await get('/v1/me', {}, { authorization: `Bearer ${fixture.key}` })).toMatchObject({ status: 200 });
    expect(await get('/v1/me', own())).toMatchObject({ status: 200 });
    // HTTP goes on as before on the same port.
    expect((await fixture.gateway.call(fixture.key, 'GET', '/v1/me')).status).toBe(200);
  });

  it('takes the header for it when both are there, and no certificate from a page', async () => {
    expect(await get('/v1/me', own(), { authorization: 'Bearer sbk_wrong' })).toMatchObject({ status: 401 });
    expect(await get('/v1/me', own(), { origin: 'https://evil.example.org' })).toMatchObject({ status: 401 });
    expect(await get('/v1/me', own(), { 'sec-fetch-site': 'cross-site' })).toMatchObject({ status: 401 });
  });

  it('lets no certificate in that is made for something else or by somebody else', async () => {
    const server = identity.server(['127.0.0.1'], Date.now());
    expect(await get('/v1/me', { cert: server.certificatePem, key: server.keyPem })).toMatchObject({ status: 401 });
    const { keyId } = (await fixture.gateway.call<{ keyId: string }>(fixture.key, 'GET', '/v1/me')).body;
    const stranger = TlsIdentity.parse(newAuthorityBundle(Date.now())).client(keyId, undefined, Date.now(), null);
    expect(await get('/v1/me', { cert: stranger.certificatePem, key: stranger.keyPem })).toMatchObject({ status: 401 });
    const past = identity.client(keyId, undefined, Date.now() - 400 * 86_400_000, null);
    expect(await get('/v1/me', { cert: past.certificatePem, key: past.keyPem })).toMatchObject({ status: 401 });
    const nobody = identity.client('root', undefined, Date.now(), null);
    expect(await get('/v1/me', { cert: nobody.certificatePem, key: nobody.keyPem })).toMatchObject({ status: 401 });
    // The same without what is wrong is let in.
    const good = identity.client(keyId, undefined, Date.now(), null);
    expect(await get('/v1/me', { cert: good.certificatePem, key: good.keyPem })).toMatchObject({ status: 200 });
  });

  it('certifies a key that never left its owner', async () => {
    const { publicKey, privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
    const made = await fixture.gateway.call<CertificateView>(fixture.key, 'POST', '/v1/me/certificate', { publicKey: publicKey.export({ type: 'spki', format: 'pem' }) });
    expect(made).toMatchObject({ status: 201, body: { key: null } });
    expect(await get('/v1/me', { cert: made.body.certificate, key: privateKey.export({ type: 'pkcs8', format: 'pem' }) })).toMatchObject({ status: 200 });
    expect((await fixture.gateway.call(fixture.key, 'POST', '/v1/me/certificate', { publicKey: 'nonsense' })).status).toBe(400);
    const weak = generateKeyPairSync('rsa', { modulusLength: 1024 }).publicKey.export({ type: 'spki', format: 'pem' });
    expect((await fixture.gateway.call(fixture.key, 'POST', '/v1/me/certificate', { publicKey: weak })).status).toBe(400);
    expect(createPublicKey(createPrivateKey(certificate.key ?? '')).asymmetricKeyType).toBe('ec');
  });

  it('ends with the key that it stands for', async () => {
    const tenant = await fixture.gateway.tenant();
    const made = (await fixture.gateway.call<CertificateView>(tenant.key, 'POST', '/v1/me/certificate', {})).body;
    const client = { cert: made.certificate, key: made.key };
    expect(await get('/v1/me', client)).toMatchObject({ status: 200 });
    expect((await fixture.gateway.call(tenant.key, 'DELETE', `/v1/keys/${tenant.keyId}`)).status).toBe(204);
    expect(await get('/v1/me', client)).toMatchObject({ status: 401 });
  });

  it('serves the docker CLI by certificate, context and environment, streams too', async () => {
    const certs = join(folder, 'certs');
    mkdirSync(certs, { recursive: true });
    for (const [name, text] of [['ca.pem', certificate.authority], ['cert.pem', certificate.certificate], ['key.pem', certificate.key ?? '']]) writeFileSync(join(certs, name ?? ''), text ?? '');
    const env = { DOCKER_HOST: `tcp://127.0.0.1:${port}`, DOCKER_TLS_VERIFY: '1', DOCKER_CERT_PATH: certs, DOCKER_CUSTOM_HEADERS: '' };
    const docker = (...args: string[]) => fixture.cli(args, { env });
    expect((await docker('version', '--format', '{{.Server.APIVersion}}')).out).toBe('1.50\n');
    expect((await docker('run', '-d', '--name', 'over-tls', 'busybox', 'echo', 'under', 'cover')).code).toBe(0);
    expect(await docker('logs', '-f', 'over-tls')).toMatchObject({ out: 'under cover\n', err: 'oops\n' });
    expect((await docker('wait', 'over-tls')).out).toBe('0\n');
    const file = join(folder, 'big.tar');
    writeFileSync(file, Buffer.alloc(20 * 1024 * 1024, 7));
    expect((await docker('load', '-i', file)).out).toBe('Loaded image: loaded:1\n');
    expect(fixture.host.received.bytes).toBe(20 * 1024 * 1024);
    const context = { DOCKER_HOST: '', DOCKER_CUSTOM_HEADERS: '' };
    expect((await fixture.cli(['context', 'create', 'tenant', '--docker', `host=tcp://127.0.0.1:${port},ca=${certs}/ca.pem,cert=${certs}/cert.pem,key=${certs}/key.pem`], { env: context })).code).toBe(0);
    expect((await fixture.cli(['--context', 'tenant', 'ps', '-a', '--format', '{{.Names}}'], { env: context })).out).toContain('over-tls');
  }, 60_000);

  it('satisfies curl and openssl', async () => {
    writeFileSync(join(folder, 'ca.pem'), ca);
    expect(execFileSync('curl', ['--version']).length).toBeGreaterThan(0);
    const { out } = await new Promise<{ out: string }>((resolve) => {
      execFile('curl', ['-s', '--cacert', join(folder, 'ca.pem'), `https://localhost:${port}/_ping`], (_error, out) => { resolve({ out }); });
    });
    expect(out).toBe('OK');
  });

  it('takes WebSockets', async () => {
    const socket = new WebSocket(`wss://127.0.0.1:${port}/v1/runs/run_0/logs`, { ca, ...own() });
    const status = await new Promise((resolve) => {
      socket.on('unexpected-response', (_request, response) => { resolve(response.statusCode); });
      socket.on('error', () => undefined);
    });
    // Known by its certificate; the run is nobody's.
    expect(status).toBe(404);
  });

  it('keeps the second half of a connection whose first is closed', async () => {
    const socket = connect({ host: '127.0.0.1', port, ca, allowHalfOpen: true } as ConnectionOptions);
    let text = '';
    socket.on('data', (chunk: Buffer) => { text += chunk.toString(); });
    socket.end('GET /_ping HTTP/1.1\r\nHost: x\r\n\r\n');
    await new Promise((resolve) => socket.once('end', resolve));
    expect(text).toMatch(/200 OK[^]*OK$/);
  });

  it('survives what is neither, and connections that say nothing', async () => {
    const garbage = connectTcp(port, '127.0.0.1');
    garbage.write(Buffer.from([0x16, 0x03, 0x01, 0xff, 0xff, ...Array.from({ length: 100 }, () => 0x41)]));
    await new Promise((resolve) => garbage.once('close', resolve).on('error', () => undefined).resume());
    for (let count = 0; count < 20; count += 1) connectTcp(port, '127.0.0.1').on('error', () => undefined).destroy();
    const halves = connectTcp({ port, host: '127.0.0.1', allowHalfOpen: true });
    halves.end();
    await new Promise((resolve) => halves.once('close', resolve).resume());
    // One byte at a time.
    const slow = connectTcp(port, '127.0.0.1');
    let text = '';
    slow.on('data', (chunk: Buffer) => { text += chunk.toString(); });
    for (const byte of Buffer.from('GET /_ping HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n')) {
      slow.write(Buffer.of(byte));
      await sleep(1);
    }
    await new Promise((resolve) => slow.once('close', resolve));
    expect(text).toMatch(/200 OK[^]*OK$/);
    expect(await get('/_ping', {})).toEqual({ status: 200, text: 'OK' });
  });

  it('closes connections that say nothing when it stops', async () => {
    const other = await startDockerFixture({ settings: { tls: { identity, names: ['127.0.0.1'] }, shutdownGraceMs: 5_000 } });
    const silent = connectTcp(Number(new URL(other.gateway.url).port), '127.0.0.1');
    await new Promise((resolve) => silent.once('connect', resolve));
    await sleep(50);
    const began = performance.now();
    await other.stop();
    expect(performance.now() - began).toBeLessThan(4_000);
    silent.destroy();
  }, 60_000);
});
