import { createReadStream } from 'node:fs';
import { mkdir, open, readdir, readFile, rename, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { buildParcelSchema, type BuildParcel } from '#contracts';
import { syncDirectory, writeFileDurably, type TenantDisk, type TenantDisks } from '#engine';
import { CodedError, errnoOf, isCodedError, type BuildId, type Logger, type TenantId } from '#kernel';

/** Of a context as it is sent; what it holds, unpacked, has a limit of its own (`SPOOL_LIMITS` of the engine). */
const MAX_CONTEXT_BYTES = 2 * 1024 ** 3;
/** What nobody has fetched for so long belongs to a build that never was: its gateway died between the upload and the row. */
const FORGOTTEN_MS = 24 * 3_600_000;
const FOLDER = 'builds';

export interface BuildSpoolOptions {
  readonly disks: Pick<TenantDisks, 'find' | 'list'>;
  readonly logger: Logger;
  readonly maxContextBytes?: number;
}

/**
 * What queued builds are to build: a folder each on their tenant's disk, where it counts as what the tenant writes and ends with ENOSPC. The context is a file of bytes that
 * nothing unpacks; the rest, with the values of arguments and secrets, is a file that root alone reads. Guests see no part of it. It goes when the build is over.
 */
export class BuildSpool {
  private readonly maxContextBytes: number;

  constructor(private readonly options: BuildSpoolOptions) {
    this.maxContextBytes = options.maxContextBytes ?? MAX_CONTEXT_BYTES;
  }

  /** Durable when it resolves. Idempotent. @throws CodedError `resource_exhausted` (the tenant's disk is full) */
  async put(tenantId: TenantId, id: BuildId, parcel: BuildParcel): Promise<void> {
    await this.writing(tenantId, id, async (folder) => {
      await writeFileDurably(join(folder, 'parcel.json'), JSON.stringify(parcel), 0o600);
    });
  }

  /** Likewise. @throws CodedError `payload_too_large`, `resource_exhausted`; what the source throws. Of a context that is cut nothing stays */
  async putContext(tenantId: TenantId, id: BuildId, source: AsyncIterable<Uint8Array>): Promise<{ readonly bytes: number }> {
    return this.writing(tenantId, id, async (folder) => {
      const bytes = await this.write(join(folder, 'context.part'), source);
      await rename(join(folder, 'context.part'), join(folder, 'context'));
      await syncDirectory(folder);
      return { bytes };
    });
  }

  /** @throws CodedError `not_found` */
  async parcel(tenantId: TenantId, id: BuildId): Promise<BuildParcel> {
    try {
      return buildParcelSchema.parse(JSON.parse(await readFile(join(await this.folder(tenantId, id), 'parcel.json'), 'utf8')));
    } catch (error) {
      if (isCodedError(error) || errnoOf(error) !== 'ENOENT') throw error;
      throw gone(error);
    }
  }

  /** @throws CodedError `not_found`, with the first byte */
  async *context(tenantId: TenantId, id: BuildId): AsyncGenerator<Uint8Array, void, undefined> {
    try {
      yield* createReadStream(join(await this.folder(tenantId, id), 'context'), { highWaterMark: 1024 * 1024 }) as AsyncIterable<Buffer>;
    } catch (error) {
      throw errnoOf(error) === 'ENOENT' ? gone(error) : error;
    }
  }

  /** Idempotent. */
  async remove(tenantId: TenantId, id: BuildId): Promise<void> {
    const disk = await this.options.disks.find(tenantId);
    if (disk !== undefined) await rm(join(disk.path, FOLDER, id), { recursive: true, force: true });
  }

  /** Removes what no build will ever fetch. To be called at start, when the disks are there. */
  async sweep(now: number): Promise<void> {
    for (const disk of await this.options.disks.list()) {
      for (const name of await namesIn(disk)) {
        const folder = join(disk.path, FOLDER, name);
        const { mtimeMs } = await stat(folder);
        if (now - mtimeMs < FORGOTTEN_MS) continue;
        await rm(folder, { recursive: true, force: true });
        this.options.logger.info({ tenantId: disk.tenantId, buildId: name }, 'builds: removed a context that nobody has fetched');
      }
    }
  }

  private async writing<T>(tenantId: TenantId, id: BuildId, work: (folder: string) => Promise<T>): Promise<T> {
    const folder = await this.folder(tenantId, id);
    await mkdir(folder, { recursive: true, mode: 0o700 });
    try {
      return await work(folder);
    } catch (error) {
      await rm(folder, { recursive: true, force: true });
      throw errnoOf(error) === 'ENOSPC' ? new CodedError('resource_exhausted', "the tenant's disk has no room for the context of the build", {}, { cause: error }) : error;
    }
  }

  private async write(path: string, source: AsyncIterable<Uint8Array>): Promise<number> {
    const handle = await open(path, 'w', 0o600);
    let bytes = 0;
    try {
      for await (const chunk of source) {
        bytes += chunk.length;
        if (bytes > this.maxContextBytes) throw new CodedError('payload_too_large', `the context is larger than ${this.maxContextBytes} bytes`, { maxBytes: this.maxContextBytes });
        await handle.appendFile(chunk);
      }
      await handle.sync();
      return bytes;
    } finally {
      await handle.close();
    }
  }

  private async folder(tenantId: TenantId, id: BuildId): Promise<string> {
    const disk = await this.options.disks.find(tenantId);
    if (disk === undefined) throw gone();
    return join(disk.path, FOLDER, id);
  }
}

async function namesIn({ path }: TenantDisk): Promise<string[]> {
  try {
    return await readdir(join(path, FOLDER));
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return [];
    throw error;
  }
}

function gone(cause?: unknown): CodedError {
  return new CodedError('not_found', 'what was to be built is not there any more', { kind: 'build' }, { cause });
}
