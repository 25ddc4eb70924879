import { once } from 'node:events';
import { WebSocket } from 'ws';
import type { ErrorBody, FileEventView, FileStatView, TicketView } from '#contracts';
import { startDockerFixture, type DockerFixture } from '../protocols/docker/docker-fixture.contract.js';
import type { Answer } from '../testing/gateway-fixture.contract.js';
import type { FileView } from './file-requests.schema.js';

describe('files of sandboxes over REST', () => {
  let fixture: DockerFixture;
  let stranger: string;

  beforeAll(async () => {
    fixture = await startDockerFixture();
    stranger = (await fixture.gateway.tenant()).key;
    await fixture.gateway.call(fixture.key, 'POST', '/v1/sandboxes', { image: 'busybox', name: 'web', command: ['sleep', '9'] });
  }, 60_000);
  afterAll(() => fixture.stop());
  beforeEach(() => {
    const { files } = fixture.host;
    files.all.clear();
    files.put('/', 'directory');
    files.put('/etc', 'directory');
    files.put('/etc/motd', 'file', 'welcome\n');
    files.put('/etc/link', 'symlink', '', { linkTarget: 'motd', resolvedTarget: '/etc/motd' });
  });

  const call = <T>(method: string, path: string, body?: unknown, headers: Record<string, string> = {}, as = fixture.key, id = 'web'): Promise<Answer<T>> => fixture.gateway.call<T>(as, method, `/v1/sandboxes/${id}/files${path}`, body, headers);
  const socket = (path: string, key: string | undefined, id = 'web'): WebSocket => new WebSocket(`${fixture.gateway.url.replace('http', 'ws')}/v1/sandboxes/${id}/files/watch${path}`, key === undefined ? {} : { headers: { authorization: `Bearer ${key}` } });

  it('are told and listed', async () => {
    expect((await call<FileView>('GET', '?path=/etc')).body).toMatchObject({ kind: 'directory', mode: 0o755, entries: [{ path: '/etc/motd', sizeBytes: 8 }, { kind: 'symlink', resolvedTarget: '/etc/motd' }] });
    expect((await call<FileView>('GET', '?path=/etc&entries=false')).body.entries).toBeNull();
    expect((await call<FileView>('GET', '?path=/etc/motd')).body).toMatchObject({ name: 'motd', modifiedAt: 1_700_000_000_123, entries: null });
  });

  it.each([
    [undefined, 200, 'welcome\n', null],
    ['bytes=0-2', 206, 'wel', 'bytes 0-2/8'],
    ['bytes=3-', 206, 'come\n', 'bytes 3-7/8'],
    ['bytes=-3', 206, 'me\n', 'bytes 5-7/8'],
    ['bytes=0-999', 206, 'welcome\n', 'bytes 0-7/8'],
    ['bytes=0-1,3-4', 200, 'welcome\n', null],
    ['nonsense', 200, 'welcome\n', null],
  ])('are read with the range %s', async (range, status, text, contentRange) => {
    const answer = await call<string>('GET', '/content?path=/etc/motd', undefined, range === undefined ? {} : { range });
    expect({ status: answer.status, body: answer.body, range: answer.headers.get('content-range'), length: answer.headers.get('content-length') }).toEqual({ status, body: text, range: contentRange, length: String(text.length) });
    expect(Object.fromEntries(answer.headers)).toMatchObject({ 'content-type': 'application/octet-stream', 'content-disposition': 'attachment', 'x-content-type-options': 'nosniff', 'last-modified': 'Tue, 14 Nov 2023 22:13:20 GMT' });
  });

  it('are read whole when the range is of another version, and not where they end', async () => {
    expect((await call('GET', '/content?path=/etc/motd', undefined, { range: 'bytes=0-2', 'if-range': '"x"' })).status).toBe(200);
    const { status, headers, body } = await call<ErrorBody>('GET', '/content?path=/etc/motd', undefined, { range: 'bytes=8-' });
    expect({ status, range: headers.get('content-range'), code: body.error.code }).toEqual({ status: 416, range: 'bytes */8', code: 'invalid_argument' });
    fixture.host.files.put('/empty', 'file');
    expect(await call('GET', '/content?path=/empty')).toMatchObject({ status: 200, body: '' });
  });

  it.each(['application/octet-stream', 'application/json', 'text/plain', 'multipart/form-data; boundary=x', undefined])('are written from a body of type %s', async (type) => {
    const response = await fetch(`${fixture.gateway.url}/v1/sandboxes/web/files/content?path=/new&mode=0750&uid=7&gid=8`, { method: 'PUT', headers: { authorization: `Bearer ${fixture.key}`, ...(type === undefined ? {} : { 'content-type': type }) }, body: new Uint8Array(Buffer.from('{"not": json')) });
    expect({ status: response.status, stat: (await response.json()) as FileStatView }).toMatchObject({ status: 200, stat: { path: '/new', sizeBytes: 12, mode: 0o750, uid: 7, gid: 8 } });
    expect(fixture.host.files.all.get('/new')?.bytes.toString()).toBe('{"not": json');
  });

  it('are written empty, and not over others when that is not wanted', async () => {
    expect((await call<FileStatView>('PUT', '/content?path=/new', '')).body.sizeBytes).toBe(0);
    expect(await call<ErrorBody>('PUT', '/content?path=/new&overwrite=false', 'x')).toMatchObject({ status: 409, body: { error: { code: 'already_exists' } } });
  });

  it('are made, moved and removed', async () => {
    expect((await call('POST', '/directories', { path: '/srv/a', parents: true, mode: 0o700 })).status).toBe(204);
    expect(fixture.host.files.all.get('/srv/a')?.stat).toMatchObject({ kind: 'directory', mode: 0o700 });
    expect((await call('POST', '/moves', { from: '/etc/motd', to: '/etc/issue' })).status).toBe(204);
    expect((await call('GET', '?path=/etc/motd')).status).toBe(404);
    expect((await call('DELETE', '?path=/etc/issue')).status).toBe(204);
    expect((await call('DELETE', '?path=/etc/issue')).status).toBe(404);
    expect((await call('DELETE', '?path=/etc/issue&recursive=true')).status).toBe(204);
  });

  it('come and go as archives', async () => {
    expect(await call('GET', '/archive?path=/etc')).toMatchObject({ status: 200, body: 'tar of /etc' });
    expect((await call('GET', '/archive?path=/none')).status).toBe(404);
    expect((await call('PUT', '/archive?path=/etc', 'tar bytes', { 'content-type': 'application/x-tar' })).status).toBe(200);
    expect((await call('PUT', '/archive?path=/etc&owners=archive', 'tar', { 'content-type': 'application/x-tar' })).status).toBe(200);
    expect(fixture.host.files.extracted.map(({ path, options, bytes }) => [path, options, bytes.toString()])).toEqual([
      ['/etc', { keepDirectories: true, keepOwners: false }, 'tar bytes'],
      ['/etc', { keepDirectories: true, keepOwners: true }, 'tar'],
    ]);
    expect((await call('PUT', '/archive?path=/etc', { a: 1 })).status).toBe(400);
  });

  it.each<[string, [string, string, unknown?]]>([
    ['no path', ['GET', '']],
    ['a relative path', ['GET', '?path=etc']],
    ['a path with NUL', ['GET', '?path=/a%00b']],
    ['an endless path', ['GET', `?path=/${'x'.repeat(5000)}`]],
    ['an unknown question', ['GET', '?path=/&follow=1']],
    ['a flag that is none', ['DELETE', '?path=/x&recursive=yes']],
    ['a mode that is no number', ['PUT', '/content?path=/x&mode=rwx', 'x']],
    ['a mode of too many digits', ['PUT', '/content?path=/x&mode=07777777', 'x']],
    ['an owner below zero', ['PUT', '/content?path=/x&uid=-1', 'x']],
    ['an owner that is nobody', ['PUT', '/content?path=/x&uid=4294967295', 'x']],
    ['other owners', ['PUT', '/archive?path=/x&owners=me', 'x']],
    ['a directory without a name', ['POST', '/directories', {}]],
    ['a directory with NUL', ['POST', '/directories', { path: '/a\0' }]],
    ['a directory with more', ['POST', '/directories', { path: '/a', owner: 'me' }]],
    ['a move to nowhere', ['POST', '/moves', { from: '/a' }]],
    ['a relative move', ['POST', '/moves', { from: '/a', to: 'b' }]],
  ])('refuse %s', async (_name, [method, path, body]) => {
    expect(await call<ErrorBody>(method, path, body, path.startsWith('/archive') ? { 'content-type': 'application/x-tar' } : {})).toMatchObject({ status: 400, body: { error: { code: 'invalid_argument' } } });
  });

  it.each([
    ['GET', '?path=/'],
    ['GET', '/content?path=/etc/motd'],
    ['PUT', '/content?path=/etc/motd'],
    ['GET', '/archive?path=/etc'],
    ['DELETE', '?path=/etc&recursive=true'],
  ])('of others are not there: %s %s', async (method, path) => {
    const theirs = await call<ErrorBody>(method, path, undefined, {}, stranger);
    const nobodys = await call<ErrorBody>(method, path, undefined, {}, fixture.key, 'nosuch');
    expect([theirs.status, nobodys.status]).toEqual([404, 404]);
    expect(theirs.body.error.message).toBe('No such container: web');
  });

  it('are watched as messages, ready first', async () => {
    const client = socket('?path=/etc&recursive=true', fixture.key);
    const heard: FileEventView[] = [];
    client.on('message', (data: Buffer) => {
      heard.push(JSON.parse(data.toString()) as FileEventView);
      if (heard.length === 2) client.close();
    });
    await once(client, 'close');
    expect(heard).toEqual([{ kind: 'ready', path: '/etc', directory: true }, { kind: 'created', path: '/etc/new', directory: false }]);
  });

  it('are watched by ticket, and by nobody else', async () => {
    const { body } = await fixture.gateway.call<TicketView>(fixture.key, 'POST', '/v1/tickets', {});
    const client = socket(`?path=/etc&ticket=${body.ticket}`, undefined);
    await once(client, 'message');
    client.close();
    const refused = async (path: string, key: string | undefined, id?: string): Promise<number> => {
      const other = socket(path, key, id);
      other.on('error', () => undefined);
      const [, response] = (await once(other, 'unexpected-response')) as [unknown, { statusCode: number }];
      other.terminate();
      return response.statusCode;
    };
    const runner = (await fixture.gateway.tenant({}, ['runs:read'])).key;
    expect([
      await refused('?path=/etc', undefined),
      await refused('?path=/etc', runner),
      await refused('?path=/etc', stranger),
      await refused('?path=/etc', fixture.key, 'nosuch'),
      await refused('?path=/none', fixture.key),
      await refused('?path=etc', fixture.key),
    ]).toEqual([401, 403, 404, 404, 404, 400]);
  });
});
