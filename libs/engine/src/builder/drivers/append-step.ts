import type { AppendLayer } from '../../images/index.js';
import type { Step } from '../stages/steps.js';
import { stageImageOf, type BuildSession, type StageImage } from './build-session.js';
import { stepRecord } from './step-record.js';

export interface AppendedStep extends Pick<AppendLayer, 'layer' | 'layerOf' | 'created'> {
  readonly below: StageImage;
  readonly step: Step;
  /** By which it is known. */
  readonly key: string;
}

/** The image of a step that is no command, held from then on in the place of what the slot held. */
export async function appendStep(session: BuildSession, slot: string, { below, step, key, ...more }: AppendedStep): Promise<StageImage> {
  const { config, author, createdBy } = step;
  const record = await session.services.images.append(session.tenantId, { base: below.id, config, author, createdBy, extra: stepRecord(below.rows, key), ...more });
  session.hold(record, slot);
  return stageImageOf(record);
}
