import { CodedError } from '#kernel';
import type { ContainerMount } from '../../containers/index.js';
import { writeTar } from '../../tar/index.js';
import { CopyPlan } from '../context/copy-plan.js';
import { resolvedPath } from '../stages/config-changes.js';
import type { RunStep } from '../stages/steps.js';
import type { BuildFiles } from './build-session.js';
import { cacheMount, type CacheMount } from './cache-mount.js';
import { MOUNTED, type MountWork } from './mount-work.js';
import { RunSecrets } from './run-secrets.js';
import { StackFiles } from './stack-files.js';
import { filesOf, sourceImage } from './stage-source.js';

/** Where a RUN's own document lies while it runs. */
export const SCRIPT_FOLDER = '/.build-script';

type Mount = RunStep['mounts'][number];

/** A volume of the step alone, filled before it starts. */
interface FilledMount {
  readonly destination: string;
  readonly tar: () => AsyncIterable<Uint8Array>;
}

/** What a RUN finds mounted. */
export interface RunMounts {
  readonly key: readonly unknown[];
  readonly mounts: readonly ContainerMount[];
  readonly filled: readonly FilledMount[];
  readonly secrets: RunSecrets;
  /** Of caches that one step at a time may have. */
  readonly locks: readonly string[];
  /** Makes what the step needs before it can run. Paths that its layer leaves out: places that are there for the mounts alone. */
  ready(): Promise<readonly string[]>;
  close(): Promise<void>;
}

/** @throws CodedError `unsupported` (an SSH agent), `not_found`, `invalid_argument` */
export async function prepareMounts(work: MountWork): Promise<RunMounts> {
  const preparation = new Preparation(work);
  try {
    await preparation.take();
  } catch (error) {
    await preparation.close();
    throw error;
  }
  return preparation;
}

class Preparation implements RunMounts {
  readonly key: unknown[] = [];
  readonly filled: FilledMount[] = [];
  readonly locks: string[] = [];
  readonly secrets: RunSecrets;
  private readonly asked: ContainerMount[] = [];
  private readonly caches: CacheMount[] = [];
  private readonly spooled: BuildFiles[] = [];

  constructor(private readonly work: MountWork) {
    this.secrets = new RunSecrets(work.session.request.secrets ?? new Map());
  }

  get mounts(): readonly ContainerMount[] {
    return [...this.asked, ...this.secrets.mounts];
  }

  async take(): Promise<void> {
    const { step } = this.work;
    for (const mount of step.mounts) {
      const destination = resolvedPath(step.config.WorkingDir ?? '/', mount.target ?? '');
      this.key.push([mount, destination]);
      await this.mount(mount, destination);
    }
    this.script();
  }

  async ready(): Promise<readonly string[]> {
    const { session, step, below } = this.work;
    for (const cache of this.caches) await cache.ensure();
    const folders = [...this.secrets.folders, ...(step.script === undefined ? [] : [SCRIPT_FOLDER])];
    const stack = new StackFiles(session.services, below.chainId);
    const places: string[] = [];
    for (const destination of [...this.asked.map((mount) => mount.destination), ...this.secrets.destinations]) places.push(...(await stack.missing(destination)));
    return [...folders, ...new Set(places)];
  }

  async close(): Promise<void> {
    await Promise.all(this.spooled.map(({ archive }) => archive.remove()));
  }

  private async mount(mount: Mount, destination: string): Promise<void> {
    switch (mount.type) {
      case 'tmpfs':
        this.asked.push({ kind: 'tmpfs', destination, readOnly: false, ...(mount.sizeBytes === undefined ? {} : { sizeBytes: mount.sizeBytes }) });
        return;
      case 'cache': {
        const cache = cacheMount(this.work, mount, destination);
        this.caches.push(cache);
        this.asked.push(cache.mount);
        // One of its own for each who comes while it is taken would be lost again: they wait.
        if (mount.sharing !== 'shared') this.locks.push(cache.name);
        return;
      }
      case 'bind':
        return this.bind(mount, destination);
      case 'secret':
        this.secrets.take(mount);
        return;
      case 'ssh':
        if (mount.required) throw new CodedError('unsupported', '--mount=type=ssh is not supported by this server: no agent can be reached from a build');
        await this.work.session.report({ kind: 'warning', message: '--mount=type=ssh is left out: no agent can be reached from a build' });
    }
  }

  private async bind(mount: Mount, destination: string): Promise<void> {
    const { session, earlier, number } = this.work;
    const source = mount.source ?? '/';
    const files = mount.from === undefined ? session.context : await filesOf(session, await sourceImage(session, mount.from, earlier, number), [source]);
    if (files !== session.context) this.spooled.push(files);
    const owner = mount.from === undefined ? { uid: 0, gid: 0 } : undefined;
    const plan = new CopyPlan(files.archive, files.paths, { sources: [source], destination: `/${MOUNTED}`, intoDirectory: false, owner, mode: undefined, parents: false, exclude: [], missing: [] });
    this.key.push(plan.key);
    this.asked.push({ kind: 'volume', destination, readOnly: mount.readOnly ?? true, noCopy: true, subpath: MOUNTED });
    this.filled.push({ destination, tar: () => plan.layer() });
  }

  private script(): void {
    const { script, argv } = this.work.step;
    if (script === undefined) return;
    const content = Buffer.from(script);
    this.asked.push({ kind: 'volume', destination: SCRIPT_FOLDER, readOnly: true, noCopy: true });
    this.filled.push({ destination: SCRIPT_FOLDER, tar: () => writeTar([{ path: argv[0] ?? 'script', type: 'file', mode: 0o755, uid: 0, gid: 0, mtimeNs: 0n, size: content.length, content: [content] }]) });
  }
}
