import { createHash } from 'node:crypto';
import { CodedError } from '#kernel';
import type { ContainerMount } from '../../containers/index.js';
import { writeTar } from '../../tar/index.js';
import { CopyPlan } from '../context/copy-plan.js';
import { resolvedPath } from '../stages/config-changes.js';
import type { PlannedStage } from '../stages/stage-graph.js';
import type { RunStep } from '../stages/steps.js';
import type { BuildFiles, BuildSession } from './build-session.js';
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
  /** Of caches that one step at a time may have. */
  readonly locks: readonly string[];
  close(): Promise<void>;
}

export interface MountWork {
  readonly session: BuildSession;
  readonly step: RunStep;
  readonly earlier: readonly PlannedStage[];
  readonly number: number;
}

/** @throws CodedError `unsupported` (secrets, SSH, single files), `not_found`, `invalid_argument` */
export async function prepareMounts(work: MountWork): Promise<RunMounts> {
  const spooled: BuildFiles[] = [];
  const close = async (): Promise<void> => {
    await Promise.all(spooled.map(({ archive }) => archive.remove()));
  };
  const result = { key: [] as unknown[], mounts: [] as ContainerMount[], filled: [] as FilledMount[], locks: [] as string[], close };
  const workingDir = work.step.config.WorkingDir ?? '/';
  try {
    for (const mount of work.step.mounts) {
      const destination = resolvedPath(workingDir, mount.target ?? '');
      result.key.push([mount, destination]);
      if (mount.type === 'tmpfs') result.mounts.push({ kind: 'tmpfs', destination, readOnly: false, ...(mount.sizeBytes === undefined ? {} : { sizeBytes: mount.sizeBytes }) });
      else if (mount.type === 'cache') takeCache(mount, destination, result);
      else if (mount.type === 'bind') {
        const plan = await boundFiles(work, mount, spooled);
        result.key.push(plan.key);
        result.mounts.push({ kind: 'volume', destination, readOnly: mount.readOnly ?? true, noCopy: true });
        result.filled.push({ destination, tar: () => plan.layer() });
      } else throw new CodedError('unsupported', `--mount=type=${mount.type} is not supported by this server`);
    }
  } catch (error) {
    await close();
    throw error;
  }
  takeScript(work.step, result);
  return result;
}

function takeCache(mount: Mount, destination: string, { mounts, locks }: { mounts: ContainerMount[]; locks: string[] }): void {
  if (mount.from !== undefined || mount.mode !== undefined || mount.uid !== undefined || mount.gid !== undefined) throw new CodedError('unsupported', '--mount=type=cache with from, mode, uid or gid is not supported by this server');
  const id = mount.id ?? destination;
  const name = `build-cache-${createHash('sha256').update(id).digest('hex').slice(0, 32)}`;
  mounts.push({ kind: 'volume', name, destination, readOnly: mount.readOnly ?? false, noCopy: true });
  // One of its own for each who comes while it is taken would be lost again: they wait.
  if (mount.sharing !== 'shared') locks.push(name);
}

async function boundFiles({ session, earlier, number }: MountWork, mount: Mount, spooled: BuildFiles[]): Promise<CopyPlan> {
  const source = mount.source ?? '/';
  const files = mount.from === undefined ? session.context : await filesOf(session, await sourceImage(session, mount.from, earlier, number), [source]);
  if (files !== session.context) spooled.push(files);
  const [found] = files.paths.find(source, { followLast: true });
  if (found?.entry.type !== 'directory') throw new CodedError('unsupported', '--mount=type=bind of a single file is not supported by this server');
  const owner = mount.from === undefined ? { uid: 0, gid: 0 } : undefined;
  return new CopyPlan(files.archive, files.paths, { sources: [source], destination: '/', intoDirectory: true, owner, mode: undefined, parents: false, exclude: [], missing: [] });
}

function takeScript({ script, argv }: RunStep, { mounts, filled }: { mounts: ContainerMount[]; filled: FilledMount[] }): void {
  if (script === undefined) return;
  const content = Buffer.from(script);
  mounts.push({ kind: 'volume', destination: SCRIPT_FOLDER, readOnly: true, noCopy: true });
  filled.push({ destination: SCRIPT_FOLDER, tar: () => writeTar([{ path: argv[0] ?? 'script', type: 'file', mode: 0o755, uid: 0, gid: 0, mtimeNs: 0n, size: content.length, content: [content] }]) });
}
