import { digestOf, type Digest } from '#kernel';

/** OCI image-spec, config.md, "Layer ChainID": the lowest layer's is its diffID; above, the digest of "parent diffID". */
export function chainIdOf(parent: Digest | undefined, diffId: Digest): Digest {
  return parent === undefined ? diffId : digestOf(`${parent} ${diffId}`);
}
