import type { TreeChange } from '../../tree/index.js';

/** The sandbox mounts these; where an image has no such directory, the runtime makes it. Docker keeps them in a layer below the container's own. */
const OF_THE_RUNTIME = /^\/(?:proc|sys|dev|dev\/pts|dev\/shm|dev\/mqueue)$/;

/** As `docker diff`: what the container changed, not what its start made. */
export function visibleChanges(changes: readonly TreeChange[]): TreeChange[] {
  return changes.filter(({ path, kind }) => path !== '/' && (kind === 'deleted' || !OF_THE_RUNTIME.test(path)));
}
