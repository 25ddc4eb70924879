import { randomBytes } from 'node:crypto';
import { mkdir, readdir, readFile, rename } from 'node:fs/promises';
import { join } from 'node:path';
import { asError, isId, type Logger, type TenantId } from '#kernel';
import { removeFile, removeFolder, syncDirectory, writeFileDurably } from '../../linux/index.js';
import type { Volume } from '../volumes.js';
import { parseVolumeOptions, type VolumeKind } from './volume-options.js';

/** Half made, there, half removed. A crash leaves the first and the last, which `load` gives to be cleared. */
type Stage = 'making' | 'json' | 'dying';
const FILE = /^([0-9a-f]{32})\.(making|json|dying)$/;

/** What is kept of a volume. `id` names its folder or partition on the disk: chance, never the name. */
export interface VolumeRecord {
  readonly id: string;
  readonly volume: Volume;
  readonly kind: VolumeKind;
}

export interface LoadedRecords {
  readonly records: VolumeRecord[];
  /** Ids of which something may be on the disk. */
  readonly unfinished: string[];
}

export function newVolumeId(): string {
  return randomBytes(16).toString('hex');
}

/** `<root>/<tenant>/<id>.<stage>`: one small file for each volume, whose extension says how far it is. */
export class VolumeRecords {
  constructor(
    private readonly root: string,
    private readonly logger: Logger,
  ) {}

  async tenants(): Promise<TenantId[]> {
    return (await readdir(this.root)).filter((name): name is TenantId => isId('tenant', name));
  }

  async load(tenantId: TenantId): Promise<LoadedRecords> {
    const [records, unfinished]: [VolumeRecord[], string[]] = [[], []];
    for (const name of await readdir(join(this.root, tenantId))) {
      const [, id, stage] = FILE.exec(name) ?? [];
      const path = join(this.root, tenantId, name);
      if (id === undefined) await removeFile(path);
      else if (stage !== 'json') unfinished.push(id);
      else {
        try {
          const volume = JSON.parse(await readFile(path, 'utf8')) as Volume;
          records.push({ id, volume, kind: parseVolumeOptions(volume.options) });
        } catch (error) {
          // Written whole or not at all: not by us. What it names stays where it is.
          this.logger.error({ path, err: asError(error) }, 'volumes: a record cannot be read');
        }
      }
    }
    return { records, unfinished };
  }

  async write(tenantId: TenantId, record: VolumeRecord, stage: 'making' | 'json'): Promise<void> {
    if (await mkdir(join(this.root, tenantId), { recursive: true, mode: 0o700 })) await syncDirectory(this.root);
    await writeFileDurably(this.#path(tenantId, record.id, stage), JSON.stringify(record.volume));
  }

  /** One step, and durable. */
  async move(tenantId: TenantId, id: string, from: Stage, to: Stage): Promise<void> {
    await rename(this.#path(tenantId, id, from), this.#path(tenantId, id, to));
    await syncDirectory(join(this.root, tenantId));
  }

  async forget(tenantId: TenantId, id: string): Promise<void> {
    for (const stage of ['making', 'dying'] as const) await removeFile(this.#path(tenantId, id, stage));
  }

  async forgetAll(tenantId: TenantId): Promise<void> {
    await removeFolder(join(this.root, tenantId));
  }

  #path(tenantId: TenantId, id: string, stage: Stage): string {
    return join(this.root, tenantId, `${id}.${stage}`);
  }
}
