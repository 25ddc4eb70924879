import type { ContentStore, TenantImages } from '#engine';
import { canonicalName, CodedError, isCodedError, type Digest, type TenantId } from '#kernel';
import type { NodeRuntimes } from './node-runtimes.js';
import { PLATFORM_TENANT } from './platform-tenant.js';
import { runtimeReference } from './runtime-names.js';

export interface RuntimeImage {
  /** Its name among the tenant's images, such as `runtimes.sandbar/python:latest`. */
  readonly image: string;
  /** What its programs want in their environment. */
  readonly env: Readonly<Record<string, string>>;
}

/** Makes the node's runtimes images of a tenant's, so that containers can stand on them as on any other. */
export class RuntimeImages {
  constructor(
    private readonly runtimes: Pick<NodeRuntimes, 'resolve'>,
    private readonly images: Pick<TenantImages, 'resolve' | 'register'>,
    private readonly content: Pick<ContentStore, 'pin'>,
  ) {}

  /**
   * By name or alias. Idempotent: the name leads to what is installed at the moment.
   * @throws CodedError `not_found` (this node has no such runtime), `quota_exceeded` (of the tenant's images)
   */
  async provide(tenantId: TenantId, name: string): Promise<RuntimeImage> {
    const runtime = this.runtimes.resolve(name);
    if (runtime === undefined) throw new CodedError('not_found', `no runtime ${JSON.stringify(name.slice(0, 100))}: see GET /v1/runtimes`);
    const reference = runtimeReference(runtime.definition.name, 'latest');
    const image = canonicalName(reference);
    const provided = await this.images.resolve(PLATFORM_TENANT, runtime.image);
    if ((await this.idOf(tenantId, image)) !== provided.id) {
      const pin = await this.content.pin([provided.manifest, provided.id, ...provided.layers.map(({ blob }) => blob)]);
      try {
        await this.images.register(tenantId, { manifest: provided.manifest, names: [reference] });
      } finally {
        pin.release();
      }
    }
    return { image, env: runtime.definition.env };
  }

  private async idOf(tenantId: TenantId, image: string): Promise<Digest | undefined> {
    try {
      return (await this.images.resolve(tenantId, image)).id;
    } catch (error) {
      if (isCodedError(error, 'not_found')) return undefined;
      throw error;
    }
  }
}
