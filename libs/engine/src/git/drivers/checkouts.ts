import { join } from 'node:path';
import { CodedError, isCodedError, type Logger } from '#kernel';
import type { UrlFetcher } from '../../registry-client/index.js';
import type { GitAddress } from '../git-address.js';
import type { GitObjects } from './git-objects.js';
import type { PackAllowance } from './pack-allowance.js';
import { PackReader } from './pack-reader.js';
import { SmartHttp } from './smart-http.js';
import { MAX_SUBMODULES, soughtIn, submoduleAddress, submodulesOf, type Sought, type Submodule } from './submodules.js';
import { NO_PLACES, type Checkout, type Places } from './tree-entries.js';
import { commitTree, GITLINK, kindOf, Trees, type TreeRow } from './trees.js';
import { unpack } from './unpack.js';

export interface CheckoutOptions {
  readonly fetcher: Pick<UrlFetcher, 'exchange'>;
  /** Of this fetch alone. */
  readonly folder: string;
  /** Of all its repositories: what is known by its hash is the same wherever it came from. */
  readonly objects: GitObjects;
  readonly allowance: PackAllowance;
  /** Files and folders of the commit. */
  readonly maxEntries: number;
  readonly logger: Logger;
  readonly signal: AbortSignal;
}

/** A repository that is there, and where it stands: 0 is the one that was asked for. */
interface Repository {
  readonly address: GitAddress;
  readonly depth: number;
  readonly mtimeNs: bigint;
  /** What is wanted of it; '' all. */
  readonly folder: string;
}

interface Folder {
  readonly tree: string;
  readonly rows: readonly TreeRow[];
  readonly submodules: readonly Sought[];
}

const MAX_DEPTH = 10;

/** One commit with its submodules, and theirs: each a fetch by its hash, one after the other. */
export class Checkouts {
  private readonly trees: Trees;
  private readonly fetched = new Set<string>();
  private submodules = 0;

  constructor(private readonly options: CheckoutOptions) {
    this.trees = new Trees(options.objects, options.maxEntries);
  }

  /** What lies in the address's folder, which may lie in a submodule. Submodules outside of it are not asked for. @throws CodedError as `GitSource.fetch` */
  async of(address: GitAddress): Promise<{ readonly commit: string; readonly checkout: Checkout }> {
    const server = await this.server(address);
    const commit = await server.commitOf(address.ref);
    await this.fetch(server, address, commit);
    return { commit, checkout: await this.opened(address, 0, commit, address.subdir.split('/').filter((name) => name !== '')) };
  }

  private async opened(address: GitAddress, depth: number, commit: string, folder: readonly string[]): Promise<Checkout> {
    const { tree, mtimeNs } = await commitTree(this.options.objects, commit);
    const rows = await this.trees.rowsOf(tree);
    const submodules = await submodulesOf(this.options.objects, rows);
    return this.within({ address, depth, mtimeNs, folder: folder.join('/') }, { tree, rows, submodules }, folder);
  }

  private async within(repository: Repository, { tree, rows, submodules }: Folder, names: readonly string[]): Promise<Checkout> {
    const [name, ...rest] = names;
    if (name === undefined) return { tree, mtimeNs: repository.mtimeNs, places: await this.placesIn(repository, rows, submodules) };
    const row = rows.find((each) => each.name === name);
    const { here, below } = soughtIn(submodules).get(name) ?? { here: undefined, below: [] };
    if (row?.mode === GITLINK && here !== undefined) return this.submodule(repository, here, row.hash, rest);
    if (row === undefined || !isTree(row)) throw new CodedError('not_found', `the repository has no folder ${JSON.stringify(repository.folder.slice(0, 200))}`);
    return this.within(repository, { tree: row.hash, rows: await this.trees.rowsOf(row.hash), submodules: below }, rest);
  }

  /** Looks only where submodules are said to be: a tree that stands in a million places is no work. */
  private async placesIn(repository: Repository, rows: readonly TreeRow[], submodules: readonly Sought[]): Promise<Places> {
    if (submodules.length === 0) return NO_PLACES;
    const sought = soughtIn(submodules);
    const places = new Map<string, { readonly checkout: Checkout } | { readonly below: Places }>();
    for (const row of rows) {
      const { here, below } = sought.get(row.name) ?? { here: undefined, below: [] };
      if (row.mode === GITLINK && here !== undefined) places.set(row.name, { checkout: await this.submodule(repository, here, row.hash, []) });
      else if (isTree(row) && below.length > 0) places.set(row.name, { below: await this.placesIn(repository, await this.trees.rowsOf(row.hash), below) });
    }
    return places;
  }

  /** @throws CodedError that names it */
  private async submodule({ address: parent, depth }: Repository, submodule: Submodule, commit: string, folder: readonly string[]): Promise<Checkout> {
    try {
      if (depth === MAX_DEPTH) throw new CodedError('resource_exhausted', `submodules are nested more than ${MAX_DEPTH} deep`, { maxDepth: MAX_DEPTH });
      if ((this.submodules += 1) > MAX_SUBMODULES) throw new CodedError('resource_exhausted', `more than ${MAX_SUBMODULES} submodules`, { maxSubmodules: MAX_SUBMODULES });
      const address = submoduleAddress(parent, submodule, commit);
      // What one may read for its password another is not given without.
      const key = `${commit} ${address.authorization ?? ''} ${address.url.href}`;
      if (!this.fetched.has(key)) await this.fetch(await this.server(address), address, commit);
      this.fetched.add(key);
      return await this.opened(address, depth + 1, commit, folder);
    } catch (error) {
      if (!isCodedError(error)) throw error;
      throw new CodedError(error.code, `submodule ${JSON.stringify(submodule.name.slice(0, 100))}: ${error.message}`, error.details, { cause: error });
    }
  }

  private async server(address: GitAddress): Promise<SmartHttp> {
    const server = new SmartHttp(this.options.fetcher, address, this.options.signal);
    await server.discover();
    return server;
  }

  private async fetch(server: SmartHttp, { url }: GitAddress, commit: string): Promise<void> {
    const { folder, objects, allowance, logger, signal } = this.options;
    const pack = await PackReader.of(join(folder, 'pack'), server.pack(commit), allowance);
    await unpack(pack, objects, signal).finally(() => pack.remove());
    logger.info({ host: url.host, commit, objects: pack.count }, 'git: fetched a commit');
  }
}

function isTree(row: TreeRow): boolean {
  return row.mode !== GITLINK && kindOf(row) === 'directory';
}
