import type { Digest } from '#kernel';
import type { ImageHolder } from '../tenant-images.js';
import { Counts } from './counts.js';
import { blobsOf, ImageSpace, stackOf, type StoredImage } from './image-space.js';
import { checkNamespace } from './namespaces.js';

/** All name spaces, and how many images and holders count on each blob and chain of the node. */
export class ImageIndex {
  private readonly spaces = new Map<string, ImageSpace>();
  private readonly blobs = new Counts();
  private readonly chains = new Counts();

  /** An empty one when there is none. @throws CodedError `invalid_argument` */
  space(namespace: string): ImageSpace {
    const existing = this.spaces.get(checkNamespace(namespace));
    if (existing) return existing;
    const space = new ImageSpace();
    this.spaces.set(namespace, space);
    return space;
  }

  needsBlob(digest: Digest): boolean {
    return this.blobs.has(digest);
  }

  needsChain(chain: Digest): boolean {
    return this.chains.has(chain);
  }

  add(namespace: string, image: StoredImage): void {
    this.space(namespace).add(image);
    this.blobs.add(blobsOf(image));
    this.chains.add(stackOf(image));
  }

  /** What it needed stays needed until `forget`: its file is still to be removed. */
  hide(namespace: string, image: StoredImage): void {
    this.space(namespace).delete(image);
  }

  forget(image: StoredImage): void {
    this.blobs.drop(blobsOf(image));
    this.chains.drop(stackOf(image));
  }

  hold(namespace: string, image: Digest, chainId: Digest | undefined, holder: ImageHolder): void {
    const space = this.space(namespace);
    const stored = space.images.get(image);
    const stack = chainId === undefined ? [] : stored?.chainId === chainId ? stackOf(stored) : [chainId];
    // The new one first: a moment without either would let the chain go.
    this.chains.add(stack);
    space.chains.add(stack);
    this.release(namespace, holder.id);
    space.holds.set(holder.id, { id: holder.id, running: holder.running, image, stack });
  }

  /** The chains that it stood on. */
  release(namespace: string, holderId: string): readonly Digest[] {
    const space = this.space(namespace);
    const hold = space.holds.get(holderId);
    if (!hold) return [];
    space.holds.delete(holderId);
    space.chains.drop(hold.stack);
    this.chains.drop(hold.stack);
    return hold.stack;
  }

  /** What its images need stays needed until `forget`. */
  drop(namespace: string): void {
    for (const hold of this.space(namespace).holds.values()) this.chains.drop(hold.stack);
    this.spaces.delete(checkNamespace(namespace));
  }
}
