import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { newId, type Clock, type TenantId } from '#kernel';
import { FsContentStore, type ContentStore } from '../../content/index.js';
import { FsTenantImages, type TenantImages } from '../../images/index.js';
import { MemorySnapshotter } from '../../images/memory-snapshotter.contract.js';
import type { HostEvent, HostEvents } from '../../events/index.js';
import { RegistryTransfers, type RegistryPolicy, type RegistryTransfersOptions, type TransferProgress } from '../index.js';

export interface TransferBench {
  readonly root: string;
  readonly content: ContentStore;
  readonly images: TenantImages;
  readonly tenant: TenantId;
  readonly events: Pick<HostEvent, 'type' | 'action' | 'id'>[];
  readonly lines: TransferProgress[];
  transfers(policy?: Partial<RegistryPolicy>, options?: Partial<RegistryTransfersOptions>): RegistryTransfers;
  /** `status` of the lines, with the id before it, each once. */
  said(): string[];
  request(signal?: AbortSignal): { namespace: string; signal: AbortSignal; onProgress: (progress: TransferProgress) => void };
  cleanup(): Promise<void>;
}

/** Transfers between a registry and stores in a temporary folder, with short times; or in the folder that another bench has left, for the same tenant. */
export async function transferBench(left?: Pick<TransferBench, 'root' | 'tenant'>): Promise<TransferBench> {
  const root = left?.root ?? (await mkdtemp(join(tmpdir(), 'transfers-')));
  const content = await FsContentStore.open(join(root, 'content'));
  const images = await FsTenantImages.open({ root: join(root, 'images'), content, snapshots: new MemorySnapshotter() });
  const tenant = left?.tenant ?? newId('tenant');
  const lines: TransferProgress[] = [];
  const published: Pick<HostEvent, 'type' | 'action' | 'id'>[] = [];
  const events = { publish: (_tenant: TenantId, { type, action, id }: HostEvent) => published.push({ type, action, id }) } as unknown as HostEvents;
  return {
    root,
    content,
    images,
    tenant,
    lines,
    events: published,
    transfers: (policy = {}, options = {}) =>
      new RegistryTransfers({
        root: join(root, 'transfers'),
        images,
        content,
        events,
        policy: { insecure: [], mirrors: [], privateHosts: [], ...policy },
        timing: { connectMs: 1000, stallMs: 300, backoffMs: 5, layerWaitMs: 200 },
        ...options,
      }),
    said: () => [...new Set(lines.map(({ id, status }) => (id === undefined ? status : `${id}: ${status}`)))],
    request: (signal = AbortSignal.timeout(20_000)) => ({ namespace: tenant, signal, onProgress: (progress) => lines.push(progress) }),
    cleanup: () => rm(root, { recursive: true, force: true }),
  };
}

/** A clock that only moves by hand. */
export class HandClock implements Clock {
  time = 1_000_000;
  now = (): number => this.time;
  monotonicMs = (): number => this.time;
}
