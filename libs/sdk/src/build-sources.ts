import {
  buildDeliveryViewSchema,
  buildSourceViewSchema,
  buildViewSchema,
  createdBuildSourceSchema,
  pageSchema,
  type BuildDeliveryView,
  type BuildNow,
  type BuildSourceView,
  type BuildView,
  type CreateBuildSourceInput,
  type CreatedBuildSource,
  type Page,
  type UpdateBuildSourceInput,
} from '#contracts';
import type { Transport } from './transport.js';

export interface ListPage {
  readonly limit?: number;
  readonly cursor?: string;
}

/** Repositories whose pushes build images, of the key's tenant; `ref` is a name or an id. Each method throws SandbarApiError. */
export class BuildSourcesApi {
  constructor(private readonly transport: Transport) {}

  /** The only answer, with that of `rotateSecret`, that has the secret of the webhook. */
  create(source: CreateBuildSourceInput): Promise<CreatedBuildSource> {
    return this.transport.call({ method: 'POST', path: '/v1/build-sources', body: source }, createdBuildSourceSchema);
  }

  list(page: ListPage = {}): Promise<Page<BuildSourceView>> {
    return this.transport.call({ method: 'GET', path: '/v1/build-sources', query: { ...page } }, pageSchema(buildSourceViewSchema));
  }

  get(ref: string): Promise<BuildSourceView> {
    return this.transport.call({ method: 'GET', path: pathOf(ref) }, buildSourceViewSchema);
  }

  /** What is given takes the place of what was. */
  update(ref: string, change: UpdateBuildSourceInput): Promise<BuildSourceView> {
    return this.transport.call({ method: 'PATCH', path: pathOf(ref), body: change }, buildSourceViewSchema);
  }

  async remove(ref: string): Promise<void> {
    await this.transport.callForNothing({ method: 'DELETE', path: pathOf(ref) });
  }

  /** The old secret is worth nothing then. */
  rotateSecret(ref: string): Promise<CreatedBuildSource> {
    return this.transport.call({ method: 'POST', path: `${pathOf(ref)}/secret` }, createdBuildSourceSchema);
  }

  /** Without a push. Recorded, not yet executed. */
  build(ref: string, what: BuildNow = {}): Promise<BuildView> {
    return this.transport.call({ method: 'POST', path: `${pathOf(ref)}/builds`, body: what }, buildViewSchema);
  }

  /** What came to the webhook, newest first. */
  deliveries(ref: string, page: ListPage = {}): Promise<Page<BuildDeliveryView>> {
    return this.transport.call({ method: 'GET', path: `${pathOf(ref)}/deliveries`, query: { ...page } }, pageSchema(buildDeliveryViewSchema));
  }
}

function pathOf(ref: string): string {
  return `/v1/build-sources/${encodeURIComponent(ref)}`;
}
