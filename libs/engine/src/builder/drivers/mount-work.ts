import type { KeyedQueue } from '../../linux/index.js';
import type { PlannedStage } from '../stages/stage-graph.js';
import type { RunStep } from '../stages/steps.js';
import type { BuildSession, StageImage } from './build-session.js';

/** In a volume, what is mounted of it: mode and owner of a volume's own root are the node's. */
export const MOUNTED = 'mounted';

/** What the mounts of a RUN are made from. */
export interface MountWork {
  readonly session: BuildSession;
  readonly step: RunStep;
  readonly below: StageImage;
  readonly earlier: readonly PlannedStage[];
  readonly number: number;
  /** Of caches, across all builds. */
  readonly cacheTurns: KeyedQueue;
}
