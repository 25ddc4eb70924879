import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { CodedError, isCodedError, type Logger } from '#kernel';
import type { UrlFetcher } from '../../registry-client/index.js';
import { writeTar } from '../../tar/index.js';
import { ClosingStream } from '../../tree/index.js';
import { parseGitAddress, type GitAddress } from '../git-address.js';
import type { GitFetch, GitSource, GitTree } from '../git-source.js';
import { Checkouts } from './checkouts.js';
import { GitObjects } from './git-objects.js';
import { PackAllowance } from './pack-allowance.js';
import { treeEntries, type Checkout } from './tree-entries.js';
import { Trees } from './trees.js';

export interface HttpGitSourceOptions {
  /** A folder of its own: what is being fetched. What an earlier life has left there goes with `recover`. */
  readonly root: string;
  /** Under the node's policy. */
  readonly fetcher: Pick<UrlFetcher, 'exchange'>;
  readonly logger: Logger;
  readonly limits?: Partial<GitLimits>;
}

/** Of a repository with its submodules. */
export interface GitLimits {
  readonly packBytes: number;
  /** In the packs, and as files and folders. */
  readonly objects: number;
  /** Of all files and folders together. */
  readonly bytes: number;
  readonly timeMs: number;
}

const LIMITS: GitLimits = { packBytes: 1024 ** 3, objects: 500_000, bytes: 2 * 1024 ** 3, timeMs: 600_000 };

/** Fetches over HTTP alone. */
export class HttpGitSource implements GitSource {
  private readonly limits: GitLimits;

  constructor(private readonly options: HttpGitSourceOptions) {
    this.limits = { ...LIMITS, ...options.limits };
  }

  /** Removes what earlier lives of the worker have left. To be awaited once, before all else. */
  async recover(): Promise<void> {
    await rm(this.options.root, { recursive: true, force: true });
    await mkdir(this.options.root, { recursive: true, mode: 0o700 });
  }

  async fetch({ url, ...asked }: GitFetch, signal: AbortSignal): Promise<GitTree> {
    const address = parseGitAddress(url, asked);
    const timer = AbortSignal.timeout(this.limits.timeMs);
    const folder = await mkdtemp(join(this.options.root, 'fetch-'));
    const close = (): Promise<void> => rm(folder, { recursive: true, force: true });
    try {
      const { commit, objects, checkout } = await this.fetched(address, folder, AbortSignal.any([signal, timer]));
      const tar = new ClosingStream(writeTar(treeEntries(new Trees(objects, this.limits.objects), checkout)), async () => {
        await objects.remove();
        await close();
      });
      return { commit, tar };
    } catch (error) {
      await close();
      if (timer.aborted && isCodedError(error, 'cancelled')) throw new CodedError('deadline_exceeded', `fetching the repository took longer than ${this.limits.timeMs / 1000} seconds`, {}, { cause: error });
      throw error;
    }
  }

  private async fetched(address: GitAddress, folder: string, signal: AbortSignal): Promise<{ readonly commit: string; readonly objects: GitObjects; readonly checkout: Checkout }> {
    const { fetcher, logger } = this.options;
    const { packBytes, objects: maxObjects, bytes } = this.limits;
    const objects = await GitObjects.create(join(folder, 'objects'), bytes);
    try {
      const allowance = new PackAllowance({ maxBytes: packBytes, maxObjects });
      return { objects, ...(await new Checkouts({ fetcher, folder, objects, allowance, maxEntries: maxObjects, logger, signal }).of(address)) };
    } catch (error) {
      await objects.remove();
      throw error;
    }
  }
}
