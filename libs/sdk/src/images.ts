import {
  imageDetailSchema,
  imageHistorySchema,
  imageRemovalsSchema,
  imageSummarySchema,
  operationViewSchema,
  type ImageDetail,
  type ImageHistory,
  type ImageRemovals,
  type ImageSummary,
  type OperationView,
  type RegistryAuthBody,
} from '#contracts';
import { z } from 'zod';
import type { Transport } from './transport.js';

export interface TransferOptions {
  readonly auth?: RegistryAuthBody;
}

/** Images of the key's tenant. References are names, IDs or the beginning of an ID. Each method throws SandbarApiError. */
export class ImagesApi {
  constructor(private readonly transport: Transport) {}

  async list(): Promise<ImageSummary[]> {
    return (await this.transport.call({ method: 'GET', path: '/v1/images' }, z.object({ items: z.array(imageSummarySchema) }))).items;
  }

  get(ref: string): Promise<ImageDetail> {
    return this.transport.call({ method: 'GET', path: pathOf(ref) }, imageDetailSchema);
  }

  /** Newest step first. */
  async history(ref: string): Promise<ImageHistory> {
    return (await this.transport.call({ method: 'GET', path: `${pathOf(ref)}/history` }, z.object({ items: imageHistorySchema }))).items;
  }

  tag(ref: string, name: string): Promise<ImageDetail> {
    return this.transport.call({ method: 'POST', path: `${pathOf(ref)}/tags`, body: { name } }, imageDetailSchema);
  }

  async remove(ref: string, options: { force?: boolean } = {}): Promise<ImageRemovals> {
    return (await this.transport.call({ method: 'DELETE', path: pathOf(ref), query: { ...options } }, z.object({ items: imageRemovalsSchema }))).items;
  }

  /** Recorded; see `operations.follow`. */
  pull(reference: string, options: TransferOptions = {}): Promise<OperationView> {
    return this.transport.call({ method: 'POST', path: '/v1/images/pull', body: { reference, ...options } }, operationViewSchema);
  }

  /** Recorded; see `operations.follow`. */
  push(reference: string, options: TransferOptions = {}): Promise<OperationView> {
    return this.transport.call({ method: 'POST', path: '/v1/images/push', body: { reference, ...options } }, operationViewSchema);
  }
}

function pathOf(ref: string): string {
  return `/v1/images/${encodeURIComponent(ref)}`;
}
