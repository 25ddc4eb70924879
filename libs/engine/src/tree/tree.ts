/**
 * Trees of files, and tar archives made of and into them. All work on a tree is done by the helper program `sandbar-tree`, which enters
 * the tree's root first (a mount name space of its own, chroot) and follows no link on its way: a guest may change the tree meanwhile,
 * and no path of the host can be reached. Ids on disk are the guest's (unshifted); the tar codec of `../tar` is the only one.
 */
export interface Trees {
  /**
   * Extracts a tar, reading it to its end. Not atomic: a failure leaves a part, which the caller discards.
   * @throws CodedError `invalid_argument` (not a tar, or hostile: the message names the entry), `resource_exhausted` (ENOSPC, EDQUOT),
   * `not_found` (no such root or `into`). What the source throws, likewise.
   */
  extract(request: ExtractRequest): Promise<ExtractedTree>;
  /** A tar, the same bytes for the same tree: sorted, numeric owners, PAX where needed. Errors end the iteration. Stopping it early ends the helper. */
  pack(request: PackRequest): AsyncIterable<Buffer>;
  /** What `upperDir` changes over `lowerDirs`, sorted by path, parents that only changed by it included (as `docker diff`). Paths are absolute in the tree. */
  changes(source: OverlaySource): Promise<TreeChange[]>;
  /** Disk blocks and inodes, hard links counted once, mount points not crossed. */
  usage(path: string): Promise<{ readonly bytes: number; readonly inodes: number }>;
  /** Removes a folder with all that is in it. Idempotent. Safe while a guest changes the tree. */
  remove(path: string): Promise<void>;
  /** One syncfs(2) of the file system that holds `path`. */
  sync(path: string): Promise<void>;
  /**
   * Copies a subtree of a root file system into an existing, empty directory (`docker run -v volume:/path` fills a new volume thus). Mode
   * and owner of the directory become those of the source. Nothing happens, and false is the answer, when `path` is absent there or the target holds something.
   */
  copyUp(source: TreeSource, path: string, targetDir: string): Promise<boolean>;
}

export interface OverlaySource {
  readonly kind: 'overlay';
  /** Topmost first; may be empty. */
  readonly lowerDirs: readonly string[];
  readonly upperDir?: string;
}

export type TreeSource = { readonly kind: 'directory'; readonly path: string } | OverlaySource;

export interface ExtractRequest {
  /** An existing directory of the host that only the node can rename. */
  readonly root: string;
  /** The uncompressed tar. */
  readonly tar: AsyncIterable<Uint8Array>;
  /**
   * `layer`: an OCI layer; `.wh.` names become overlayfs' whiteouts and opaque marks, parents that the tar does not name take their owner, mode
   * and times from `lowerDirs`, and a link in a path is resolved inside the stack. `files`: plain files into a living tree; `.wh.` means nothing,
   * links in paths are resolved inside the root.
   */
  readonly as: 'layer' | 'files';
  /** Of `layer`: the stack below, topmost first. */
  readonly lowerDirs?: readonly string[];
  /** Of `files`: a directory in the tree, default its root. */
  readonly into?: string;
  /** Of the archive's files together, holes included; `resource_exhausted` beyond. */
  readonly maxBytes?: number;
}

export interface ExtractedTree {
  /** The sum of the sizes of the archive's files, holes included. */
  readonly bytes: number;
}

export interface PackRequest {
  readonly source: TreeSource;
  /** `layer`: of an overlay's `upperDir` alone, whiteouts as `.wh.` entries, overlay's own xattrs left out; nothing at all when nothing was changed. `files`: the merged tree. */
  readonly as: 'layer' | 'files';
  /** Of `files`: only what is below this directory of the tree; entries are named relative to it. */
  readonly path?: string;
}

export interface TreeChange {
  readonly path: string;
  readonly kind: 'modified' | 'added' | 'deleted';
}
