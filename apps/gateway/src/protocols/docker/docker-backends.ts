import type { OperationProgress, OperationView, RegistryAuthBody } from '#contracts';
import type { TenantId } from '#kernel';
import type { TenantCaller } from '../../auth/caller.js';
import type { TenantHosts } from '../../nodes/tenant-host.js';

/** What Docker's routes stand on beside `TenantHosts`: pulls and pushes as operations with a progress stream. */
export interface ImageOperations {
  pull(caller: TenantCaller, request: OperationRequest): Promise<OperationView>;
  push(caller: TenantCaller, request: OperationRequest): Promise<OperationView>;
  cancel(caller: TenantCaller, id: string): Promise<unknown>;
  /** Lines after number `after`, until the one with `end`. */
  follow(tenant: TenantId, id: string, after: number, signal: AbortSignal): AsyncIterable<OperationProgress>;
}

export interface OperationRequest {
  readonly reference: string;
  readonly platform?: { readonly os: string; readonly architecture: string; readonly variant?: string };
  readonly auth?: RegistryAuthBody;
  readonly requestId?: string;
}

/** What Docker's routes stand on, together: tests give their own. */
export interface DockerBackends {
  readonly hosts: TenantHosts;
  readonly operations: ImageOperations;
}

export const DOCKER_BACKENDS = Symbol('DockerBackends');
