import { CodedError } from '#kernel';

/** What the packs of one fetch may be, together. */
export class PackAllowance {
  private bytes = 0;
  private objects = 0;

  constructor(private readonly limits: { readonly maxBytes: number; readonly maxObjects: number }) {}

  /** @throws CodedError `resource_exhausted` */
  takeBytes(bytes: number): void {
    const { maxBytes } = this.limits;
    if ((this.bytes += bytes) > maxBytes) throw new CodedError('resource_exhausted', `the repository with its submodules is larger than ${maxBytes} bytes`, { maxBytes });
  }

  /** @throws CodedError `resource_exhausted` */
  takeObjects(objects: number): void {
    const { maxObjects } = this.limits;
    if ((this.objects += objects) > maxObjects) throw new CodedError('resource_exhausted', `the repository with its submodules has more than ${maxObjects} files and folders`, { maxObjects });
  }
}
