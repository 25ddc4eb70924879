import type { AvailableRuntime, NodeHeartbeat, RuntimeDefinition } from '#contracts';
import type { Snapshotter } from '#engine';
import type { Digest, Logger } from '#kernel';
import type { RuntimeResolver } from '../runs/run-services.js';
import { readInstalledRuntimes, type InstalledRuntime } from './installed-runtimes.js';
import { RuntimeCatalogue, shippedDefinitions } from './runtime-catalogue.js';

interface UsableRuntime {
  readonly definition: RuntimeDefinition;
  readonly chainId: Digest;
  /** Of the platform's own tenant. */
  readonly image: Digest;
}

/** The runtimes this node can run: defined, installed by that very definition, and their root file systems unpacked. */
export class NodeRuntimes implements RuntimeResolver {
  private installed = new Map<string, InstalledRuntime>();

  private constructor(
    readonly catalogue: RuntimeCatalogue,
    private readonly dataDir: string,
    private readonly snapshots: Pick<Snapshotter, 'has'>,
  ) {}

  static async open(dataDir: string, snapshots: Pick<Snapshotter, 'has'>, logger: Logger, folder = shippedDefinitions()): Promise<NodeRuntimes> {
    const runtimes = new NodeRuntimes(await RuntimeCatalogue.load(folder), dataDir, snapshots);
    await runtimes.reload();
    for (const { definition } of runtimes.catalogue.runtimes) {
      if (definition.default && !runtimes.has(definition.name)) logger.warn({ runtime: definition.name }, 'a runtime is not installed on this node, or another definition of it');
    }
    return runtimes;
  }

  /** After an installation. */
  async reload(): Promise<void> {
    const byName = new Map((await readInstalledRuntimes(this.dataDir)).map((runtime) => [runtime.name, runtime]));
    const usable = new Map<string, InstalledRuntime>();
    for (const { definition, digest } of this.catalogue.runtimes) {
      const runtime = byName.get(definition.name);
      if (runtime?.definition === digest && (await this.snapshots.has(runtime.chainId))) usable.set(definition.name, runtime);
    }
    this.installed = usable;
  }

  has(name: string): boolean {
    return this.installed.has(name);
  }

  get names(): string[] {
    return [...this.installed.keys()];
  }

  resolve(name: string): UsableRuntime | undefined {
    const definition = this.catalogue.find(name)?.definition;
    const runtime = definition === undefined ? undefined : this.installed.get(definition.name);
    return definition === undefined || runtime === undefined ? undefined : { definition, chainId: runtime.chainId, image: runtime.image };
  }

  views(): NodeHeartbeat['runtimes'] {
    return this.catalogue.runtimes.flatMap(({ definition: { name, title, aliases, mainFile, compile } }) => {
      const version = this.installed.get(name)?.version;
      return version === undefined ? [] : [{ name, title, aliases, version, mainFile, compiled: compile !== undefined }];
    });
  }

  available(): AvailableRuntime[] {
    return this.catalogue.runtimes.flatMap(({ definition: { name, title } }) => (this.installed.has(name) ? [] : [{ name, title }]));
  }
}
