import { readFileSync } from 'node:fs';
import { z } from 'zod';
import { asError, isCodedError } from '#kernel';
import { migrate } from '#persistence';

// `node dist/apps/gateway/src/main-migrate.js`: brings the schema of DATABASE_URL (or of the URL in DATABASE_URL_FILE) up to date.
// Exit 0: it is. Exit 1: it is not, and the last line on standard error says why.
const variables = z
  .object({ DATABASE_URL: z.string().optional(), DATABASE_URL_FILE: z.string().optional() })
  .transform(({ DATABASE_URL: url, DATABASE_URL_FILE: file }) => url ?? (file === undefined ? '' : readFileSync(file, 'utf8').trim()))
  .pipe(z.string().regex(/^postgres(ql)?:\/\//, 'DATABASE_URL: must be a postgresql:// URL'));

try {
  // eslint-disable-next-line no-restricted-syntax -- a program of its own, with this one variable
  const { applied, unknown } = await migrate(variables.parse(process.env));
  for (const name of applied) console.log(`migration ${name}: applied`);
  for (const name of unknown) console.warn(`migration ${name}: applied by a newer version of this program`);
  console.log('database: up to date');
} catch (error) {
  if (error instanceof z.ZodError) console.error(error.issues.map((issue) => issue.message).join('; '));
  else if (isCodedError(error)) console.error(`${error.code}: ${error.message}${error.cause === undefined ? '' : ` (${asError(error.cause).message})`}`);
  else console.error(error);
  process.exitCode = 1;
}
