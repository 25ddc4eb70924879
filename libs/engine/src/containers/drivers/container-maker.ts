import { randomBytes } from 'node:crypto';
import { asError, CodedError, familiarName, isCodedError, parseReference, withDefaultTag, type TenantId } from '#kernel';
import type { ImageRecord } from '../../images/index.js';
import type { CreateContainer } from '../containers.js';
import { checkRequest } from './container-checks.js';
import { withDefaultSwap } from './container-limits.js';
import type { ContainerNetwork } from './container-network.js';
import type { ContainerRecord } from './container-record.js';
import type { ContainerRecords } from './container-records.js';
import type { TenantContainersOptions } from './container-services.js';
import type { ContainerStorage } from './container-storage.js';
import { parseVolumesFrom, planMounts, type PlannedMount } from './mount-plan.js';
import { planProcess } from './process-plan.js';
import { parseSignal } from './signals.js';

export interface MakeContainer {
  readonly tenantId: TenantId;
  readonly name: string;
  readonly request: CreateContainer;
  /** The mounts of another container of the tenant. @throws CodedError `not_found` */
  readonly mountsOf: (text: string) => readonly PlannedMount[];
}

export function newContainerId(): string {
  return randomBytes(32).toString('hex');
}

/** Makes containers, from the image's name to a record that is whole. */
export class ContainerMaker {
  constructor(
    private readonly services: TenantContainersOptions,
    private readonly records: ContainerRecords,
    private readonly storage: ContainerStorage,
    private readonly network: Pick<ContainerNetwork, 'plan'>,
  ) {}

  /** Everything is undone on failure; a record in the phase `making` names what a crash has left. */
  async make(id: string, { tenantId, name, request, mountsOf }: MakeContainer): Promise<ContainerRecord> {
    checkRequest(request);
    const image = await this.imageOf(tenantId, request.image);
    const imageConfig = image.config.config;
    const anonymous = request.mounts.flatMap((mount) => (mount.kind === 'volume' && mount.name === undefined ? [mount.destination] : []));
    const plan = planProcess(request, imageConfig, anonymous);
    if (plan.stopSignal !== undefined) parseSignal(plan.stopSignal);
    const volumesFrom = request.volumesFrom.map((text) => {
      const { container, readOnly } = parseVolumesFrom(text);
      return { readOnly, mounts: mountsOf(container) };
    });
    const wishes = planMounts({ mounts: request.mounts, volumesFrom, imageVolumes: Object.keys(imageConfig.Volumes ?? {}) });
    const network = await this.network.plan(tenantId, request);
    let record: ContainerRecord = {
      version: 1,
      phase: 'making',
      id,
      name,
      tenantId,
      createdAt: this.services.clock.now(),
      imageId: image.id,
      chainId: image.config.rootfs.diff_ids.length === 0 ? null : image.chainId,
      imageBytes: image.sizeBytes,
      imageConfig,
      request: { ...request, limits: withDefaultSwap(request.limits) },
      path: plan.path,
      args: plan.args,
      effective: plan.effective,
      stopSignal: plan.stopSignal ?? null,
      mounts: [],
      madeVolumes: [],
      network,
      status: 'created',
      exitCode: 0,
      oomKilled: false,
      error: '',
      startedAt: null,
      finishedAt: null,
      sandboxId: null,
      starts: 0,
    };
    this.storage.hold(record, false);
    try {
      // What is still there under a hold stays.
      await this.services.images.resolve(tenantId, image.id);
      await this.records.save(record);
      await this.storage.writable(record);
      const { mounts, toFill } = await this.storage.takeVolumes(record, wishes, async (name) => {
        record = { ...record, madeVolumes: [...record.madeVolumes, name] };
        await this.records.save(record);
      });
      record = { ...record, mounts };
      for (const { name: volume, destination } of toFill) await this.storage.fill(record, volume, destination);
      record = { ...record, phase: 'whole', madeVolumes: [] };
      // Whole or not, a transient one is swept after a crash: its record has to name no more than what there is to sweep.
      if (request.transient !== true || mounts.length > 0) await this.records.save(record);
      return record;
    } catch (error) {
      await this.undo(record);
      throw error;
    }
  }

  /** Of a container that is half made. */
  async undo(record: ContainerRecord): Promise<void> {
    try {
      await this.storage.dispose(record, record.madeVolumes);
      await this.records.remove(record);
    } catch (error) {
      this.services.logger.error({ err: asError(error), container: record.id }, 'containers: what a failed create left cannot be removed now');
    }
  }

  private async imageOf(tenantId: TenantId, text: string): Promise<ImageRecord> {
    try {
      return await this.services.images.resolve(tenantId, text);
    } catch (error) {
      if (!isCodedError(error, 'not_found')) throw error;
      throw new CodedError('not_found', `No such image: ${withTag(text)}`, {}, { cause: error });
    }
  }
}

function withTag(text: string): string {
  try {
    return familiarName(withDefaultTag(parseReference(text)));
  } catch {
    return text.slice(0, 300);
  }
}
