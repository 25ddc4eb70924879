import { createHash } from 'node:crypto';
import type { ContainerMount } from '../../containers/index.js';
import { writeTar } from '../../tar/index.js';
import { CopyPlan } from '../context/copy-plan.js';
import type { RunStep } from '../stages/steps.js';
import { MOUNTED, type MountWork } from './mount-work.js';
import { filesOf, sourceImage } from './stage-source.js';

/** Volumes of cache mounts begin so. */
export const CACHE_VOLUMES = 'build-cache-';
/** Of such a volume: the mount's id. */
export const CACHE_LABEL = 'sandbar.build.cache';
const FOLDER_MODE = 0o755;

export interface CacheMount {
  readonly name: string;
  readonly mount: ContainerMount;
  /** Makes the volume, with what it is to hold at first. Idempotent. */
  ensure(): Promise<void>;
}

/** A volume of the tenant's by the mount's id: it outlives the build. Caches that begin otherwise are others. */
export function cacheMount(work: MountWork, mount: RunStep['mounts'][number], destination: string): CacheMount {
  const { id = destination, from, source, mode, uid, gid } = mount;
  const isPlain = from === undefined && mode === undefined && uid === undefined && gid === undefined;
  const identity = isPlain ? id : JSON.stringify([id, from, source, mode, uid, gid]);
  const name = `${CACHE_VOLUMES}${createHash('sha256').update(identity).digest('hex').slice(0, 32)}`;
  return {
    name,
    mount: { kind: 'volume', name, destination, readOnly: mount.readOnly ?? false, noCopy: true, labels: { [CACHE_LABEL]: id }, ...(isPlain ? {} : { subpath: MOUNTED }) },
    ensure: () => (isPlain ? Promise.resolve() : work.cacheTurns.run(`${work.session.tenantId}/${name}/first`, () => fill(work, { ...mount, id }, name))),
  };
}

async function fill(work: MountWork, { id = '', from, source = '/', mode, uid = 0, gid = 0 }: RunStep['mounts'][number], name: string): Promise<void> {
  const { session, earlier, number } = work;
  const { volumes } = session.services;
  await volumes.create(session.tenantId, { name, labels: { [CACHE_LABEL]: id } });
  if ((await volumes.get(session.tenantId, name)).filled) return;
  if (from !== undefined) {
    const files = await filesOf(session, await sourceImage(session, from, earlier, number), [source]);
    try {
      const plan = new CopyPlan(files.archive, files.paths, { sources: [source], destination: `/${MOUNTED}`, intoDirectory: false, owner: undefined, mode: undefined, parents: false, exclude: [], missing: [] });
      await volumes.extract(session.tenantId, name, plan.layer());
    } finally {
      await files.archive.remove();
    }
  }
  if (from === undefined || mode !== undefined || uid !== 0 || gid !== 0) {
    await volumes.extract(session.tenantId, name, writeTar([{ path: `${MOUNTED}/`, type: 'directory', mode: mode ?? FOLDER_MODE, uid, gid, mtimeNs: 0n }]));
  }
  await volumes.markFilled(session.tenantId, name);
}
