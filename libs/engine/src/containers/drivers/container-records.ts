import { mkdir, readdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { isDigest, isId, type Logger, type TenantId } from '#kernel';
import { removeFile, syncDirectory, writeFileDurably } from '../../linux/index.js';
import type { ContainerRecord } from './container-record.js';
import { NO_NETWORK } from './network-plan.js';

const RECORD = /^([0-9a-f]{64})\.json$/;
const LEFTOVER = /^[0-9a-f]{64}\.(?:json\.[0-9a-f]+\.tmp|log|execs)$/;

/** The records of containers as files: `<root>/<tenant>/<id>.json`, and beside each the folders `<id>.log`, its log, and `<id>.execs`. */
export class ContainerRecords {
  constructor(
    private readonly root: string,
    private readonly logger: Logger,
  ) {}

  /** Every record that is sound. Staged files and logs that belong to none are removed; a damaged record is left where it is and told. */
  async load(): Promise<ContainerRecord[]> {
    await mkdir(this.root, { recursive: true, mode: 0o700 });
    const records: ContainerRecord[] = [];
    for (const tenantId of await readdir(this.root)) if (isId('tenant', tenantId)) records.push(...(await this.loadTenant(tenantId)));
    return records;
  }

  async save(record: ContainerRecord): Promise<void> {
    const folder = join(this.root, record.tenantId);
    if ((await mkdir(folder, { recursive: true, mode: 0o700 })) !== undefined) await syncDirectory(this.root);
    await writeFileDurably(join(folder, `${record.id}.json`), JSON.stringify(record));
  }

  async remove({ tenantId, id }: ContainerRecord): Promise<void> {
    await removeFile(join(this.root, tenantId, `${id}.json`));
  }

  logFolder({ tenantId, id }: Pick<ContainerRecord, 'tenantId' | 'id'>): string {
    return join(this.root, tenantId, `${id}.log`);
  }

  execsFolder({ tenantId, id }: Pick<ContainerRecord, 'tenantId' | 'id'>): string {
    return join(this.root, tenantId, `${id}.execs`);
  }

  async dropTenant(tenantId: TenantId): Promise<void> {
    await rm(join(this.root, tenantId), { recursive: true, force: true });
  }

  private async loadTenant(tenantId: TenantId): Promise<ContainerRecord[]> {
    const folder = join(this.root, tenantId);
    const names = await readdir(folder);
    const kept = new Set<string>();
    const records: ContainerRecord[] = [];
    for (const name of names) {
      const id = RECORD.exec(name)?.[1];
      if (id === undefined) continue;
      kept.add(`${id}.log`).add(`${id}.execs`);
      const record = parseRecord(await readFile(join(folder, name), 'utf8'));
      // Of before there were networks.
      if (record?.id === id && record.tenantId === tenantId) records.push({ ...record, network: record.network ?? NO_NETWORK });
      else this.logger.error({ tenantId, container: id }, 'containers: the record of a container is damaged; it is passed over');
    }
    for (const name of names) if (LEFTOVER.test(name) && !kept.has(name)) await rm(join(folder, name), { recursive: true, force: true });
    return records;
  }
}

type StoredRecord = Omit<ContainerRecord, 'network'> & Partial<Pick<ContainerRecord, 'network'>>;

function parseRecord(text: string): StoredRecord | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return isRecord(value) ? value : undefined;
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}

function isRecord(value: unknown): value is StoredRecord {
  if (typeof value !== 'object' || value === null) return false;
  const record = value as Partial<ContainerRecord>;
  return (
    record.version === 1 &&
    typeof record.id === 'string' &&
    typeof record.name === 'string' &&
    isId('tenant', record.tenantId) &&
    isDigest(record.imageId) &&
    Array.isArray(record.mounts) &&
    typeof record.starts === 'number' &&
    typeof record.request === 'object' &&
    typeof record.effective === 'object'
  );
}
