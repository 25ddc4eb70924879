/** A range of 65536 host uids (and the same gids) that one sandbox's user name space maps to 0…65535. */
export interface IdRange {
  readonly hostStart: number;
  readonly size: number;
}

/**
 * The mounts that make a root file system, as values: components hand them on, only the spawner performs them, in the private
 * mount name space of one launch. So nothing is ever mounted in the node's own name space and a crash leaves no mount behind.
 */
export interface OverlayRootfs {
  readonly kind: 'overlay';
  /** Unpacked layers, **topmost first** (the order of overlayfs' `lowerdir`), each mounted id-mapped to `idRange`. */
  readonly lowerDirs: readonly string[];
  /** The writable layer: a tmpfs of that many bytes (rounded up to pages) and inodes; it goes with the sandbox. */
  readonly upper: { readonly kind: 'tmpfs'; readonly sizeBytes: number; readonly inodes: number };
}

export type RootfsMount = OverlayRootfs;
