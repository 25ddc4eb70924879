import { openRepositories } from '#persistence';
import { silentLogger } from '#kernel';
import { startTestPostgres } from './index.js';

it('gives each caller a migrated database of its own', async () => {
  const began = performance.now();
  const first = await startTestPostgres();
  const middle = performance.now();
  const second = await startTestPostgres();
  console.log('first', middle - began, 'second', performance.now() - middle, first.url);
  const repositories = await openRepositories({ databaseUrl: first.url, logger: silentLogger });
  expect((await repositories.tenants.list({ limit: 10 })).items).toEqual([]);
  expect(first.url).not.toBe(second.url);
  await repositories.close();
  await Promise.all([first.stop(), second.stop()]);
});
