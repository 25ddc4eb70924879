import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { writeFileDurably } from '#engine';
import { CodedError, errnoOf, isDigest, type Digest } from '#kernel';

const digestSchema = z.custom<Digest>(isDigest);

const installedRuntimeSchema = z.object({
  name: z.string(),
  /** `definitionDigest` of what was installed. */
  definition: digestSchema,
  /** Its image in the name space `system`. */
  image: z.string(),
  /** The unpacked root file system. */
  chainId: digestSchema,
  /** First line that the version command printed. */
  version: z.string(),
});
export type InstalledRuntime = z.infer<typeof installedRuntimeSchema>;

const fileSchema = z.object({ version: z.literal(1), runtimes: z.array(installedRuntimeSchema) });

function pathIn(dataDir: string): string {
  return join(dataDir, 'runtimes.json');
}

/** What the last whole installation made; empty when there was none. @throws CodedError `failed_precondition` when the file is damaged */
export async function readInstalledRuntimes(dataDir: string): Promise<InstalledRuntime[]> {
  let text: string;
  try {
    text = await readFile(pathIn(dataDir), 'utf8');
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return [];
    throw error;
  }
  try {
    return fileSchema.parse(JSON.parse(text)).runtimes;
  } catch (error) {
    throw new CodedError('failed_precondition', `${pathIn(dataDir)} is damaged; remove it and start again`, {}, { cause: error });
  }
}

export async function writeInstalledRuntimes(dataDir: string, runtimes: readonly InstalledRuntime[]): Promise<void> {
  await writeFileDurably(pathIn(dataDir), `${JSON.stringify({ version: 1, runtimes }, null, 2)}\n`, 0o644);
}
