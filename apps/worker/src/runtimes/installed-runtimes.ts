import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { writeFileDurably } from '#engine';
import { CodedError, errnoOf, isDigest, type Digest } from '#kernel';

const digestSchema = z.custom<Digest>(isDigest);

const installedRuntimeSchema = z.object({
  name: z.string(),
  /** `DefinedRuntime.digest` of what was installed, and the image that it was built on. */
  definition: digestSchema,
  base: digestSchema,
  /** Its image, of the platform's own tenant. */
  image: digestSchema,
  /** The unpacked root file system, and the layers it is made of, lowest first: their chainIDs. */
  chainId: digestSchema,
  layers: z.array(digestSchema).min(1),
  /** First line that the version command printed. */
  version: z.string(),
});
export type InstalledRuntime = z.infer<typeof installedRuntimeSchema>;

const VERSION = 2;
const fileSchema = z.object({ version: z.literal(VERSION), runtimes: z.array(installedRuntimeSchema) });
/** Root file systems that were made in another way. */
const olderSchema = z.object({ version: z.literal(1) });

function pathIn(dataDir: string): string {
  return join(dataDir, 'runtimes.json');
}

/** What was installed last; empty when nothing was, or by an older version. @throws CodedError `failed_precondition` when the file is damaged */
export async function readInstalledRuntimes(dataDir: string): Promise<InstalledRuntime[]> {
  let text: string;
  try {
    text = await readFile(pathIn(dataDir), 'utf8');
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return [];
    throw error;
  }
  try {
    const value: unknown = JSON.parse(text);
    return olderSchema.safeParse(value).success ? [] : fileSchema.parse(value).runtimes;
  } catch (error) {
    throw new CodedError('failed_precondition', `${pathIn(dataDir)} is damaged; remove it and start again`, {}, { cause: error });
  }
}

export async function writeInstalledRuntimes(dataDir: string, runtimes: readonly InstalledRuntime[]): Promise<void> {
  const sorted = [...runtimes].sort((a, b) => (a.name < b.name ? -1 : 1));
  await writeFileDurably(pathIn(dataDir), `${JSON.stringify({ version: VERSION, runtimes: sorted }, null, 2)}\n`, 0o644);
}
