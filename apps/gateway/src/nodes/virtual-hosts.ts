import type { OperationProgress, OperationView, RegistryAuthBody } from '#contracts';
import { CodedError, type TenantId } from '#kernel';
import type { TenantCaller } from '../auth/caller.js';
import type { TenantHosts } from './tenant-host.js';

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
}

export const TENANT_HOSTS = Symbol('TenantHosts');
export const IMAGE_OPERATIONS = Symbol('ImageOperations');

export interface VirtualHosts {
  readonly hosts: TenantHosts;
  readonly operations: ImageOperations;
}

const away = (): never => {
  throw new CodedError('unavailable', 'no node serves virtual hosts');
};

/** Where no node serves them. */
export const NO_HOSTS: VirtualHosts = { hosts: { of: away }, operations: { pull: away, push: away, cancel: away, follow: away } };
