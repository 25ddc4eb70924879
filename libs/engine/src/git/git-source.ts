/**
 * Trees of files from Git repositories that tenants name. The server is spoken to over HTTP by the same policy as registries (no private addresses but those the
 * operator allows), and what it sends is read here: no `git` runs, so that a repository has no hooks, no configuration, no filters and no helpers, and the words of
 * its trees are never paths of the node. One commit is fetched, without its history, and so are the submodules that its `.gitmodules` names, and theirs (`git submodule update --init
 * --recursive`): by the hashes that the trees have, under the same policy, and all together within the limits of one repository. What is not named there, or has `update = none`, is an empty folder.
 */
export interface GitSource {
  /**
   * @throws CodedError `invalid_argument` (an address that is none), `not_found` (no repository, ref or folder there), `unauthenticated`, `permission_denied` (a private
   * address), `unsupported` (SSH, `git://`, an old server), `resource_exhausted` (beyond a limit), `protocol_violation` (what came is no repository), `unavailable`,
   * `deadline_exceeded`, `cancelled`. What is wrong with a submodule has the same code, and names it: `submodule "libs/one": …`
   */
  fetch(request: GitFetch, signal: AbortSignal): Promise<GitTree>;
}

export interface GitFetch {
  /** `https://host/path.git`, a user and a password in it for this origin alone, submodules on it included; a fragment (`#ref:folder`) says what `ref` and `subdir` do not. */
  readonly url: string;
  /** A branch, a tag, `refs/…`, or the 40 hex digits of a commit; absent: what HEAD is. */
  readonly ref?: string;
  /** A folder of the repository, or of a submodule; absent: all of it. Submodules outside of it are not fetched. */
  readonly subdir?: string;
}

export interface GitTree {
  /** 40 hex digits. */
  readonly commit: string;
  /** Files are root's, 0644 or 0755, with the time of their commit. To be read to its end, or left by `return`: files of the node stand behind it until then. */
  readonly tar: AsyncIterableIterator<Buffer>;
}
