import { join } from 'node:path';
import type { NodeHeartbeat } from '#contracts';
import { type Snapshotter } from '#engine';
import type { Logger } from '#kernel';
import type { RuntimeResolver } from '../runs/run-services.js';
import { readInstalledRuntimes, type InstalledRuntime } from './installed-runtimes.js';
import { definitionDigest, RuntimeCatalogue } from './runtime-catalogue.js';

/** Beside the built program, `dist/apps/worker/src/runtimes/`, as beside its source. */
function shippedDefinitions(): string {
  const root = import.meta.dirname.includes('/dist/') ? '../../../../..' : '../../../..';
  return join(import.meta.dirname, root, 'infra', 'runtimes');
}

/** The runtimes this node can run: defined, installed by that very definition, and their root file systems unpacked. */
export class NodeRuntimes implements RuntimeResolver {
  private constructor(
    private readonly catalogue: RuntimeCatalogue,
    private readonly installed: ReadonlyMap<string, InstalledRuntime>,
  ) {}

  static async open(dataDir: string, snapshots: Pick<Snapshotter, 'has'>, logger: Logger, folder = shippedDefinitions()): Promise<NodeRuntimes> {
    const catalogue = await RuntimeCatalogue.load(folder);
    const byName = new Map((await readInstalledRuntimes(dataDir)).map((runtime) => [runtime.name, runtime]));
    const usable = new Map<string, InstalledRuntime>();
    for (const definition of catalogue.definitions) {
      const runtime = byName.get(definition.name);
      if (runtime?.definition === definitionDigest(definition) && (await snapshots.has(runtime.chainId))) usable.set(definition.name, runtime);
      else logger.warn({ runtime: definition.name }, 'a runtime is not installed on this node, or another definition of it');
    }
    return new NodeRuntimes(catalogue, usable);
  }

  resolve(name: string): (NonNullable<ReturnType<RuntimeResolver['resolve']>> & { /** Its image in the name space `system`. */ readonly image: string }) | undefined {
    const definition = this.catalogue.find(name);
    const runtime = definition === undefined ? undefined : this.installed.get(definition.name);
    return definition === undefined || runtime === undefined ? undefined : { definition, chainId: runtime.chainId, image: runtime.image };
  }

  views(): NodeHeartbeat['runtimes'] {
    return this.catalogue.definitions.flatMap(({ name, title, aliases, mainFile, compile }) => {
      const version = this.installed.get(name)?.version;
      return version === undefined ? [] : [{ name, title, aliases, version, mainFile, compiled: compile !== undefined }];
    });
  }
}
