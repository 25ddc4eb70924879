import { z } from 'zod';
import { buildOptionsSchema, type BuildOptions } from '#contracts';
import { CodedError } from '#kernel';
import { queryList } from '../protocols/rest/query-list.js';
import { invalidArgument } from '../protocols/rest/validation.pipe.js';

const flag = z.enum(['true', 'false', '1', '0']).transform((value) => value === 'true' || value === '1');
const pairs = queryList(z.string().max(65_536).regex(/^[^=]+(=|$)/, 'must be NAME=VALUE'));

/** What of a build's options can stand in the query. Secrets and credentials cannot: queries are logged. */
export const buildQuerySchema = z.strictObject({
  dockerfile: z.string().max(4096).optional().describe('Path in the context; absent: Dockerfile.'),
  target: z.string().max(1024).optional(),
  tag: queryList(z.string().max(512)).describe('Name of the image; may come several times.'),
  buildArg: pairs.describe('NAME=VALUE; may come several times.'),
  label: pairs.describe('NAME=VALUE; may come several times.'),
  noCache: flag.optional(),
  pull: flag.optional(),
  platform: z.string().max(100).optional(),
  network: z.string().max(256).optional(),
});
export type BuildQuery = z.infer<typeof buildQuerySchema>;

/** Base64url of the options as JSON: for what the query is no place for. */
export const OPTIONS_HEADER = 'x-sandbar-build';

/** Options of a tar: those of the header, in the place of the query's. @throws CodedError `invalid_argument` */
export function tarOptions({ tag, buildArg, label, ...query }: BuildQuery, header: string | undefined): BuildOptions {
  const given = { ...query, ...(tag.length === 0 ? {} : { tags: tag }), ...(buildArg.length === 0 ? {} : { buildArgs: textsOf(buildArg) }), ...(label.length === 0 ? {} : { labels: textsOf(label) }) };
  const parsed = buildOptionsSchema.safeParse({ ...JSON.parse(JSON.stringify(given)), ...optionsIn(header) });
  if (!parsed.success) throw invalidArgument(parsed.error.issues);
  return parsed.data;
}

function textsOf(pairs: readonly string[]): Record<string, string> {
  return Object.fromEntries(pairs.map((pair) => {
    const cut = pair.indexOf('=');
    return cut < 0 ? [pair, ''] : [pair.slice(0, cut), pair.slice(cut + 1)];
  }));
}

function optionsIn(header: string | undefined): object {
  if (header === undefined) return {};
  let value: unknown;
  try {
    value = JSON.parse(Buffer.from(header, 'base64url').toString('utf8'));
  } catch {
    value = undefined;
  }
  if (typeof value === 'object' && value !== null) return value;
  throw new CodedError('invalid_argument', `${OPTIONS_HEADER}: is not base64url of a JSON object`, { issues: [{ path: OPTIONS_HEADER, message: 'is not base64url of a JSON object' }] });
}
