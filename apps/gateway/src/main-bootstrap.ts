import { readFileSync } from 'node:fs';
import { asError, silentLogger } from '#kernel';
import { openRepositories } from '#persistence';
import { bootstrap } from './bootstrap/first-tenant.js';

/**
 * `node main-bootstrap.js [--reissue]` with DATABASE_URL (or DATABASE_URL_FILE) of a migrated database. Prints one line of JSON:
 * `{"adminKey","tenant","apiKey"}` the first time, `{"exists":true}` later. `--reissue` revokes what it made and makes new keys.
 */
async function main(): Promise<void> {
  // eslint-disable-next-line no-restricted-syntax -- set-up runs this before a gateway's configuration exists
  const { DATABASE_URL: direct, DATABASE_URL_FILE: file } = process.env;
  const databaseUrl = file === undefined || file === '' ? direct : readFileSync(file, 'utf8').trimEnd();
  if (databaseUrl === undefined || databaseUrl === '') throw new Error('DATABASE_URL is required');
  const repositories = await openRepositories({ databaseUrl, logger: silentLogger, poolSize: 2 });
  try {
    const result = await bootstrap(repositories, { reissue: process.argv.includes('--reissue') });
    process.stdout.write(`${JSON.stringify(result)}\n`);
  } finally {
    await repositories.close();
  }
}

main().catch((error: unknown) => {
  process.stderr.write(`bootstrap: ${asError(error).message}\n`);
  process.exitCode = 1;
});
