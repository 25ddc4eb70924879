import { mkdir, open, readdir, readFile, rm, unlink, type FileHandle } from 'node:fs/promises';
import { join } from 'node:path';
import { errnoOf } from '#kernel';
import type { ProcessId } from '../../runtime/index.js';
import type { ExecSpec } from '../processes.js';

const RECORD = /^([0-9a-f]{64})\.json$/;

/** What is kept of an exec beside its log, written once. What became of it the log tells. */
export interface ExecRecord {
  readonly version: 1;
  readonly id: string;
  readonly processId: ProcessId;
  /** The container's start that it belongs to. */
  readonly start: number;
  readonly createdAt: number;
  readonly request: ExecSpec;
}

/**
 * The execs of one container on disk: `<folder>/<id>.json` and beside it the log, `<id>.log.00000001` and so on. Not forced to disk, and not staged: a worker that dies while it
 * writes a record has not started the process yet.
 */
export class ExecRecords {
  constructor(private readonly folder: string) {}

  /** Those that are whole; what belongs to none is removed. */
  async load(): Promise<ExecRecord[]> {
    const records = new Map<string, ExecRecord>();
    const names = await readdir(this.folder).catch(() => []);
    for (const name of names) {
      const id = RECORD.exec(name)?.[1];
      const record = id === undefined ? undefined : parse(await readFile(join(this.folder, name), 'utf8'));
      if (record !== undefined && record.id === id) records.set(record.id, record);
    }
    for (const name of names) if (!records.has(name.split('.')[0] ?? '')) await rm(join(this.folder, name), { recursive: true, force: true });
    return [...records.values()].sort((one, other) => one.createdAt - other.createdAt || one.processId - other.processId);
  }

  /** Resolves when a worker that comes after us finds it. */
  async save(record: ExecRecord): Promise<void> {
    const handle = await this.create(`${record.id}.json`);
    try {
      await handle.writeFile(JSON.stringify(record));
    } finally {
      // It is there without that.
      void handle.close().catch(() => undefined);
    }
  }

  logPrefix(id: string): string {
    return `${id}.log.`;
  }

  /** After its log. */
  async remove(id: string): Promise<void> {
    await unlink(join(this.folder, `${id}.json`)).catch((error: unknown) => {
      if (errnoOf(error) !== 'ENOENT') throw error;
    });
  }

  async removeAll(): Promise<void> {
    await rm(this.folder, { recursive: true, force: true });
  }

  private async create(name: string): Promise<FileHandle> {
    const path = join(this.folder, name);
    try {
      return await open(path, 'wx', 0o600);
    } catch (error) {
      if (errnoOf(error) !== 'ENOENT') throw error;
      await mkdir(this.folder, { recursive: true, mode: 0o700 });
      return open(path, 'wx', 0o600);
    }
  }
}

function parse(text: string): ExecRecord | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return isRecord(value) ? value : undefined;
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}

function isRecord(value: unknown): value is ExecRecord {
  if (typeof value !== 'object' || value === null) return false;
  const record = value as Partial<ExecRecord>;
  return record.version === 1 && typeof record.id === 'string' && typeof record.processId === 'number' && typeof record.start === 'number' && typeof record.createdAt === 'number' && typeof record.request === 'object';
}
