/** What the images of each tenant may take, as its gateway said last: nodes keep no limits. */
export class ImageQuotas {
  private readonly bytes = new Map<string, number>();

  remember(tenantId: string, imageBytes: number): void {
    this.bytes.set(tenantId, imageBytes);
  }

  /** Undefined for the node's own images, and for a tenant that has not been heard of: it has asked for nothing yet. */
  of(namespace: string): number | undefined {
    return this.bytes.get(namespace);
  }

  forget(tenantId: string): void {
    this.bytes.delete(tenantId);
  }
}
