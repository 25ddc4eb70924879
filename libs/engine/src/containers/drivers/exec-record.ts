import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { ProcessId } from '../../runtime/index.js';
import type { ExecSpec } from '../processes.js';

const ID = /^[0-9a-f]{64}$/;
const RECORD = 'record.json';

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
 * The execs of one container on disk: `<folder>/<id>/record.json` and beside it the log's files. Not forced to disk, and not staged: a worker that dies while it
 * writes a record has not started the process yet.
 */
export class ExecRecords {
  constructor(private readonly folder: string) {}

  /** Those that are whole; others are removed. */
  async load(): Promise<ExecRecord[]> {
    const records: ExecRecord[] = [];
    for (const name of await readdir(this.folder).catch(() => [])) {
      const record = ID.test(name) ? parse(await readFile(join(this.folder, name, RECORD), 'utf8').catch(() => '')) : undefined;
      if (record?.id === name) records.push(record);
      else await rm(join(this.folder, name), { recursive: true, force: true });
    }
    return records.sort((one, other) => one.createdAt - other.createdAt || one.processId - other.processId);
  }

  async save(record: ExecRecord): Promise<void> {
    const folder = this.logFolder(record.id);
    await mkdir(folder, { recursive: true, mode: 0o700 });
    await writeFile(join(folder, RECORD), JSON.stringify(record), { mode: 0o600 });
  }

  logFolder(id: string): string {
    return join(this.folder, id);
  }

  async removeAll(): Promise<void> {
    await rm(this.folder, { recursive: true, force: true });
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
