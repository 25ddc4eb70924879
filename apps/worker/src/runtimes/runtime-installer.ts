import { access } from 'node:fs/promises';
import { join } from 'node:path';
import type { RuntimeDefinition } from '#contracts';
import { StagingArea, type Image } from '#engine';
import { CodedError, isCodedError, systemClock, type Clock } from '#kernel';
import { findAptNetworkOptions, findDebianSources, type DebianSources } from './debian-sources.js';
import type { EngineStores } from './engine-stores.js';
import { readInstalledRuntimes, writeInstalledRuntimes, type InstalledRuntime } from './installed-runtimes.js';
import { buildRootfs } from './rootfs-builder.js';
import { packageSet, rootfsImageName } from './rootfs-recipe.js';
import { definitionDigest, type RuntimeCatalogue } from './runtime-catalogue.js';
import { probeVersion } from './version-probe.js';

const NAMESPACE = 'system';
/** Images made at a time, once the base is there. */
const PARALLEL = 2;
const DAY_SECONDS = 86_400;
const TOOLS = ['mmdebstrap', 'unshare', 'setpriv', 'tar', 'apt-config'];
const TOOL_FOLDERS = ['/usr/sbin', '/usr/bin', '/sbin', '/bin'];

export interface InstallProgress {
  readonly image: string;
  /** What the image is for; none: the base that the others stand on. */
  readonly runtimes: readonly string[];
  readonly phase: 'fetch' | 'install' | 'pack' | 'done';
  readonly percent: number;
  readonly message: string;
}

export interface InstallerOptions {
  readonly dataDir: string;
  readonly catalogue: RuntimeCatalogue;
  readonly stores: EngineStores;
  readonly signal: AbortSignal;
  readonly clock?: Clock;
  onProgress(progress: InstallProgress): void;
}

/** One image to be made, and the runtimes that share it. */
interface Plan {
  readonly image: string;
  readonly packages: readonly string[];
  readonly definitions: readonly RuntimeDefinition[];
}

/** Makes the root file systems of all runtimes. What is there already is kept; a killed installation is taken up where whole images end. */
export class RuntimeInstaller {
  constructor(private readonly options: InstallerOptions) {}

  /** What is installed, when that is exactly what the catalogue defines and every root file system is there; undefined otherwise. */
  async installed(): Promise<InstalledRuntime[] | undefined> {
    const { dataDir, catalogue, stores } = this.options;
    const installed = await readInstalledRuntimes(dataDir);
    const byName = new Map(installed.map((runtime) => [runtime.name, runtime]));
    if (byName.size !== catalogue.definitions.length) return undefined;
    for (const definition of catalogue.definitions) {
      const runtime = byName.get(definition.name);
      if (runtime?.definition !== definitionDigest(definition) || !(await stores.snapshots.has(runtime.chainId))) return undefined;
    }
    return installed;
  }

  /**
   * No other installer may be at work on the data folder.
   * @throws CodedError `failed_precondition` (what is missing on this machine), `unavailable` (the mirror), `resource_exhausted`, `cancelled`
   */
  async install(): Promise<InstalledRuntime[]> {
    await checkMachine();
    const sources = await findDebianSources();
    const aptOptions = await findAptNetworkOptions();
    const staging = await StagingArea.open(join(this.options.dataDir, 'engine', 'rootfs-staging'), 0o711);
    const make = (plan: Plan, base?: Image) => this.ensureImage(plan, { staging, sources, aptOptions, base });

    const plans = this.plans(sources.suite);
    const base = await make(plans.base);
    const runtimes = [...(await this.describe(plans.base, base))];
    await inParallel(PARALLEL, plans.others, async (plan) => {
      runtimes.push(...(await this.describe(plan, await make(plan, base))));
    });
    runtimes.sort((a, b) => (a.name < b.name ? -1 : 1));
    await writeInstalledRuntimes(this.options.dataDir, runtimes);
    return runtimes;
  }

  /** Debian as others know it, without the user that runs are executed as: made from the base that `install` has left. */
  async debian(): Promise<{ readonly suite: string; readonly rootfs: () => AsyncIterable<Uint8Array> }> {
    const sources = await findDebianSources();
    return { suite: sources.suite, rootfs: () => this.plainRootfs(sources) };
  }

  private async *plainRootfs(sources: DebianSources): AsyncGenerator<Uint8Array, void, void> {
    const staging = await StagingArea.open(join(this.options.dataDir, 'engine', 'rootfs-staging'), 0o711);
    const base = await this.find(this.plans(sources.suite).base.image);
    const [baseDir] = base === undefined ? [] : await this.options.stores.snapshots.layerDirs(base.chainId);
    yield* buildRootfs({
      recipe: { sources, aptOptions: await findAptNetworkOptions(), base: baseDir, packages: [], plain: true },
      workDir: staging.newPath(),
      sourceDateEpoch: this.today(),
      signal: this.options.signal,
      onStep: () => undefined,
    });
  }

  private today(): number {
    return Math.floor((this.options.clock ?? systemClock).now() / 1000 / DAY_SECONDS) * DAY_SECONDS;
  }

  /** Images with most packages first: they take longest. */
  private plans(suite: string): { base: Plan; others: Plan[] } {
    const sets = new Map<string, { packages: string[]; definitions: RuntimeDefinition[] }>();
    const add = (packages: string[], definitions: RuntimeDefinition[]): void => {
      const image = rootfsImageName(suite, packages);
      sets.set(image, { packages, definitions: [...(sets.get(image)?.definitions ?? []), ...definitions] });
    };
    add([], []);
    for (const definition of this.options.catalogue.definitions) add(packageSet(definition.packages), [definition]);
    const [base, ...others] = [...sets].map(([image, set]): Plan => ({ image, ...set })) as [Plan, ...Plan[]];
    return { base, others: others.sort((a, b) => b.packages.length - a.packages.length) };
  }

  private async ensureImage(plan: Plan, means: { staging: StagingArea; sources: DebianSources; aptOptions: readonly string[]; base: Image | undefined }): Promise<Image> {
    const { stores, signal } = this.options;
    const existing = await this.find(plan.image);
    if (existing) {
      this.report(plan, 'done', 100, 'is there already');
      return existing;
    }
    const sourceDateEpoch = this.today();
    const [baseDir] = means.base ? await stores.snapshots.layerDirs(means.base.chainId) : [];
    this.report(plan, 'fetch', 0, 'starts');
    const tar = buildRootfs({
      recipe: { sources: means.sources, aptOptions: means.aptOptions, base: baseDir, packages: plan.packages },
      workDir: means.staging.newPath(),
      sourceDateEpoch,
      signal,
      onStep: ({ phase, percent }) => {
        this.report(plan, phase, percent, phase === 'fetch' ? 'fetches packages' : phase === 'install' ? 'installs packages' : 'packs and stores the layer');
      },
    });
    const image = await stores.images.importRootfs({
      namespace: NAMESPACE,
      name: plan.image,
      tar,
      config: { Cmd: ['/bin/bash'], Env: ['PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'], User: 'runner', WorkingDir: '/work' },
      created: new Date(sourceDateEpoch * 1000).toISOString(),
      comment: `Debian ${means.sources.suite}: ${plan.packages.join(' ') || 'minimal'}`,
    });
    this.report(plan, 'done', 100, 'is installed');
    return image;
  }

  private async find(name: string): Promise<Image | undefined> {
    try {
      const image = await this.options.stores.images.get(NAMESPACE, name);
      return (await this.options.stores.snapshots.has(image.chainId)) ? image : undefined;
    } catch (error) {
      if (isCodedError(error, 'not_found')) return undefined;
      throw error;
    }
  }

  private async describe(plan: Plan, { chainId }: Image): Promise<InstalledRuntime[]> {
    const [rootfs] = await this.options.stores.snapshots.layerDirs(chainId);
    if (rootfs === undefined) throw new CodedError('internal', 'an image has no layer', { image: plan.image });
    return Promise.all(
      plan.definitions.map(async (definition) => ({
        name: definition.name,
        definition: definitionDigest(definition),
        image: plan.image,
        chainId,
        version: await probeVersion(rootfs, definition.versionCommand),
      })),
    );
  }

  private report(plan: Plan, phase: InstallProgress['phase'], percent: number, message: string): void {
    const runtimes = plan.definitions.map((definition) => definition.name);
    this.options.onProgress({ image: plan.image, runtimes, phase, percent, message: `${runtimes.join(', ') || 'the base system'} ${message}` });
  }
}

/** @throws CodedError `failed_precondition` */
async function checkMachine(): Promise<void> {
  if (process.geteuid?.() !== 0) throw new CodedError('failed_precondition', 'root file systems are made by root: start as root');
  const missing: string[] = [];
  for (const tool of TOOLS) {
    const found = await Promise.allSettled(TOOL_FOLDERS.map((folder) => access(join(folder, tool))));
    if (found.every((look) => look.status === 'rejected')) missing.push(tool);
  }
  if (missing.length > 0) throw new CodedError('failed_precondition', `missing on this machine: ${missing.join(', ')} (Debian packages: mmdebstrap, util-linux, tar, apt)`, { missing });
}

/** Works off a list with a few workers; the first failure is thrown when all of them have stopped. */
async function inParallel<T>(workers: number, items: readonly T[], work: (item: T) => Promise<void>): Promise<void> {
  const queue = [...items];
  let failed = false;
  const worker = async (): Promise<void> => {
    for (let item = queue.shift(); item !== undefined && !failed; item = queue.shift()) {
      try {
        await work(item);
      } catch (error) {
        failed = true;
        throw error;
      }
    }
  };
  const ends = await Promise.allSettled(Array.from({ length: workers }, worker));
  const failure = ends.find((end) => end.status === 'rejected');
  if (failure) throw failure.reason;
}
