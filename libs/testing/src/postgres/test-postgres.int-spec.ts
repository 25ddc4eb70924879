import { existsSync } from 'node:fs';
import { openRepositories } from '#persistence';
import { silentLogger } from '#kernel';
import { startPostgresServer, startTestPostgres } from './index.js';

describe('startTestPostgres', () => {
  it('gives each caller a migrated database of its own, on one server', async () => {
    const [first, second] = await Promise.all([startTestPostgres(), startTestPostgres()]);
    expect(first.url).not.toBe(second.url);
    expect(folderOf(first.url)).toBe(folderOf(second.url));
    const repositories = await openRepositories({ databaseUrl: first.url, logger: silentLogger });
    expect((await repositories.tenants.list({ limit: 10 })).items).toEqual([]);
    await repositories.close();
    await Promise.all([first.stop(), second.stop()]);
    await expect(openRepositories({ databaseUrl: first.url, logger: silentLogger })).rejects.toMatchObject({ code: 'unavailable' });
  });
});

describe('startPostgresServer', () => {
  it('leaves nothing behind when it stops', async () => {
    const server = await startPostgresServer();
    const folder = folderOf(server.adminUrl);
    expect(existsSync(folder)).toBe(true);
    await server.stop();
    await server.stop();
    expect(existsSync(folder)).toBe(false);
  });
});

function folderOf(url: string): string {
  return new URL(url).searchParams.get('host')!;
}
