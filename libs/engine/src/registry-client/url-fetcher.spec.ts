import { UrlFetcher } from './index.js';
import { HostileRegistry, end } from './testing/hostile-registry.contract.js';

describe('what is behind a URL', () => {
  let server: HostileRegistry;
  beforeEach(async () => {
    server = await HostileRegistry.start();
  });
  afterEach(() => server.stop());

  async function fetched(url: string, insecure: readonly string[]): Promise<string> {
    const chunks: Uint8Array[] = [];
    for await (const chunk of new UrlFetcher({ insecure, mirrors: [], privateHosts: [] }).fetch(url, AbortSignal.timeout(5000))) chunks.push(chunk);
    return Buffer.concat(chunks).toString();
  }

  it('is streamed, over redirects too', async () => {
    server.trick = (request, response) => {
      if (request.url === '/a') end(response, 302, '', { location: '/b' });
      else if (request.url === '/b') end(response, 200, 'a tar');
      else return false;
      return true;
    };
    expect(await fetched(`http://${server.host}/a`, [server.host])).toBe('a tar');
    await expect(fetched(`http://${server.host}/c`, [server.host])).rejects.toMatchObject({ code: 'not_found' });
  });

  it.each(['', 'x', 'file:///etc/passwd', 'ftp://x/', 'gopher://127.0.0.1/'])('is refused for %j', async (url) => {
    await expect(fetched(url, [])).rejects.toMatchObject({ code: 'invalid_argument' });
  });

  it('is not asked for at private addresses', async () => {
    for (const url of [`http://${server.host}/`, 'http://169.254.169.254/', 'http://[::1]/', 'http://2130706433/', 'http://localhost/']) {
      await expect(fetched(url, [])).rejects.toMatchObject({ code: 'permission_denied' });
    }
    expect(server.seen).toEqual([]);
  });
});
