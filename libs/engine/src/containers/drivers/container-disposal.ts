import type { ContainerNetwork } from './container-network.js';
import type { ContainerRecords } from './container-records.js';
import type { ContainerStorage } from './container-storage.js';
import type { ProcessTable } from './process-table.js';
import type { RecordKeeper } from './record-keeper.js';

export interface DisposalParts {
  readonly keeper: RecordKeeper;
  readonly network: Pick<ContainerNetwork, 'detach'>;
  readonly storage: Pick<ContainerStorage, 'dispose'>;
  readonly processes: Pick<ProcessTable, 'remove'>;
  readonly records: Pick<ContainerRecords, 'remove'>;
}

/** Takes away everything of a container that does not run, with its anonymous volumes or without; the record comes last. */
export async function disposeOfContainer({ keeper, network, storage, processes, records }: DisposalParts, withVolumes: boolean): Promise<void> {
  const doomed = withVolumes ? keeper.current.mounts.flatMap((mount) => (mount.kind === 'volume' && mount.anonymous ? [mount.name] : [])) : [];
  // Its volumes to go, for who finds it half removed.
  await keeper.save({ phase: 'removing', status: 'removing', madeVolumes: doomed });
  await network.detach(keeper.current);
  await storage.dispose(keeper.current, doomed);
  await processes.remove();
  await records.remove(keeper.current);
}
