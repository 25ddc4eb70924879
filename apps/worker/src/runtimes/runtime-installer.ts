import type { Snapshotter } from '#engine';
import { CodedError, type Digest } from '#kernel';
import { readInstalledRuntimes, writeInstalledRuntimes, type InstalledRuntime } from './installed-runtimes.js';
import type { RuntimeBuilder } from './runtime-builder.js';
import type { DefinedRuntime, RuntimeCatalogue } from './runtime-catalogue.js';

/** Builds at a time. */
const PARALLEL = 2;

export interface InstallProgress {
  readonly image: string;
  readonly percent: number;
  readonly message: string;
}

export interface InstallerOptions {
  readonly dataDir: string;
  readonly catalogue: RuntimeCatalogue;
  readonly snapshots: Pick<Snapshotter, 'has'>;
  readonly builder: Pick<RuntimeBuilder, 'base' | 'build'>;
}

/** Brings runtimes to what their folders say. What is there already, of that very folder and base, is kept; what was installed is written down one by one. */
export class RuntimeInstaller {
  private writing = Promise.resolve();

  constructor(private readonly options: InstallerOptions) {}

  /**
   * What every installation has. What was installed beyond that stays as it is (`outdated` tells of it); what is no longer defined is forgotten.
   * @throws CodedError as `RuntimeBuilder.build`, when all that was begun has ended
   */
  async installDefaults(report: (progress: InstallProgress) => void, signal: AbortSignal): Promise<InstalledRuntime[]> {
    const { catalogue } = this.options;
    const install = async (runtime: DefinedRuntime): Promise<void> => {
      const { name } = runtime.definition;
      await this.install(runtime, (percent, message) => { report({ image: name, percent, message: `${name} ${message}` }); }, signal);
    };
    const [first = [], ...groups] = inGroups(defaultsOf(catalogue));
    // What all Dockerfiles begin with is in the cache then.
    for (const runtime of first) await install(runtime);
    await inParallel(PARALLEL, groups, async (group) => {
      for (const runtime of group) await install(runtime);
    });
    return this.record((all) => all.filter(({ name }) => catalogue.find(name)?.definition.name === name));
  }

  /** Idempotent. @throws CodedError as `RuntimeBuilder.build` */
  async install(runtime: DefinedRuntime, report: (percent: number, message: string) => void, signal: AbortSignal): Promise<void> {
    const { dataDir, builder } = this.options;
    const base = (await builder.base()).id;
    const before = (await readInstalledRuntimes(dataDir)).find(({ name }) => name === runtime.definition.name);
    if (before === undefined || !(await isCurrent(before, runtime, base, this.options.snapshots))) {
      report(0, 'is built');
      const built = await builder.build(runtime, base, report, signal);
      await this.record((all) => [...all.filter(({ name }) => name !== built.name), built]);
    }
    report(100, 'is installed');
  }

  private async record(change: (all: InstalledRuntime[]) => InstalledRuntime[]): Promise<InstalledRuntime[]> {
    const { dataDir } = this.options;
    const written = this.writing.then(async () => {
      const all = change(await readInstalledRuntimes(dataDir));
      await writeInstalledRuntimes(dataDir, all);
      return all;
    });
    this.writing = written.then(
      () => undefined,
      () => undefined,
    );
    return written;
  }
}

export function defaultsOf(catalogue: RuntimeCatalogue): DefinedRuntime[] {
  return catalogue.runtimes.filter(({ definition }) => definition.default);
}

/** What is installed, when nothing is missing of what every installation has; undefined otherwise. */
export async function findInstalled(dataDir: string, catalogue: RuntimeCatalogue, base: Digest, snapshots: Pick<Snapshotter, 'has'>): Promise<InstalledRuntime[] | undefined> {
  const installed = await readInstalledRuntimes(dataDir);
  for (const runtime of defaultsOf(catalogue)) {
    const found = installed.find(({ name }) => name === runtime.definition.name);
    if (found === undefined || !(await isCurrent(found, runtime, base, snapshots))) return undefined;
  }
  return installed;
}

/** Installed once, and by now of another definition or base. */
export async function outdated(dataDir: string, catalogue: RuntimeCatalogue, base: Digest, snapshots: Pick<Snapshotter, 'has'>): Promise<DefinedRuntime[]> {
  const found: DefinedRuntime[] = [];
  for (const installed of await readInstalledRuntimes(dataDir)) {
    const runtime = catalogue.find(installed.name);
    if (runtime?.definition.name === installed.name && !(await isCurrent(installed, runtime, base, snapshots))) found.push(runtime);
  }
  return found;
}

async function isCurrent(installed: InstalledRuntime, { digest }: DefinedRuntime, base: Digest, snapshots: Pick<Snapshotter, 'has'>): Promise<boolean> {
  return installed.definition === digest && installed.base === base && (await snapshots.has(installed.chainId));
}

/** Those of the same files one behind the other: what the first has built is known to the builder's cache when the next one comes. */
function inGroups(runtimes: readonly DefinedRuntime[]): DefinedRuntime[][] {
  return [...Map.groupBy(runtimes, ({ files }) => files.digest).values()];
}

/** Works off a list with a few workers; the first failure is thrown when all of them have stopped. */
async function inParallel<T>(workers: number, items: readonly T[], work: (item: T) => Promise<void>): Promise<void> {
  const queue = [...items];
  const failures: unknown[] = [];
  const worker = async (): Promise<void> => {
    for (let item = queue.shift(); item !== undefined && failures.length === 0; item = queue.shift()) {
      try {
        await work(item);
      } catch (error) {
        failures.push(error);
      }
    }
  };
  await Promise.all(Array.from({ length: workers }, worker));
  if (failures.length > 0) throw failures[0] instanceof Error ? failures[0] : new CodedError('internal', 'an installation failed');
}
