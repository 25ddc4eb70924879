import type { Digest, SandboxId, TenantId } from '#kernel';
import type { ContainerImageConfig } from './process-plan.js';
import type { Container, ContainerNetwork, ContainerState, CreateContainer, HealthState } from '../containers.js';
import type { PlannedNetwork } from './network-plan.js';
import { mountPointOf, type PlannedMount } from './mount-plan.js';

/** What is kept of a container on disk. */
export interface ContainerRecord {
  readonly version: 1;
  /** `making` and `removing`: of no use but to be swept when a crash has left it. */
  readonly phase: 'making' | 'whole' | 'removing';
  readonly id: string;
  readonly name: string;
  readonly tenantId: TenantId;
  readonly createdAt: number;
  readonly imageId: Digest;
  /** null: the image has no layers. */
  readonly chainId: Digest | null;
  readonly imageBytes: number;
  readonly imageConfig: ContainerImageConfig;
  readonly request: CreateContainer;
  readonly path: string;
  readonly args: readonly string[];
  readonly effective: Container['effective'];
  readonly stopSignal: string | null;
  readonly mounts: readonly PlannedMount[];
  /** Volumes that were made for it: while it is being made they go with it. */
  readonly madeVolumes: readonly string[];
  readonly network: PlannedNetwork;
  /** What its network gives its processes, of its last start. */
  readonly ambient?: { readonly hostname: string; readonly env: readonly string[] };
  /** As its last start was told; absent: no. */
  readonly publishOnNode?: boolean;
  readonly status: ContainerState['status'];
  readonly exitCode: number;
  readonly oomKilled: boolean;
  readonly error: string;
  readonly startedAt: number | null;
  readonly finishedAt: number | null;
  readonly sandboxId: SandboxId | null;
  /** How many times it was started: events of another start's sandbox are told apart by it. */
  readonly starts: number;
  /** By its policy, since somebody started it. Absent: 0. */
  readonly restartCount?: number;
  /** The last who wanted something of it wanted it to stop. Absent: no. */
  readonly stoppedByHand?: boolean;
  /** How its health was when that changed last: what a new worker begins with. */
  readonly healthStatus?: HealthState['status'];
}

const SHORT = 12;

export function viewOf(record: ContainerRecord, { pid, health, network }: { readonly pid: number; readonly health?: HealthState | undefined; readonly network: ContainerNetwork }): Container {
  const { id, name, tenantId, createdAt, imageId, request, path, args, effective, status, exitCode, oomKilled, error, startedAt, finishedAt } = record;
  return {
    id,
    name,
    tenantId,
    createdAt,
    imageId,
    request,
    path,
    args,
    effective,
    state: { status, exitCode, oomKilled, error, pid, startedAt: startedAt ?? undefined, finishedAt: finishedAt ?? undefined, ...(health === undefined ? {} : { health }) },
    mounts: record.mounts.map(mountPointOf),
    network,
    sandboxId: record.sandboxId ?? undefined,
    restartCount: record.restartCount ?? 0,
  };
}

/** It has a process, or had one when the worker died. */
export function isRunning({ status }: ContainerRecord): boolean {
  return status === 'running' || status === 'paused';
}

/** It runs, or will again without anybody's doing. */
export function isUp(record: ContainerRecord): boolean {
  return isRunning(record) || record.status === 'restarting';
}

export function hostnameOf({ id, request }: Pick<ContainerRecord, 'id' | 'request'>): string {
  return request.hostname === undefined || request.hostname === '' ? id.slice(0, SHORT) : request.hostname;
}

/** With its domain, as `hostname -f` says it. */
export function domainHostnameOf(record: Pick<ContainerRecord, 'id' | 'request'>): string {
  const { domainname = '' } = record.request;
  return domainname === '' ? hostnameOf(record) : `${hostnameOf(record)}.${domainname}`;
}
