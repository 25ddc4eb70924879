import { isCodedError } from '#kernel';
import { isGitAddress } from '../../git/index.js';
import { CopyPlan } from '../context/copy-plan.js';
import type { PlannedStage } from '../stages/stage-graph.js';
import type { CopyStep } from '../stages/steps.js';
import type { BuildSession } from './build-session.js';
import { sourceImage } from './stage-source.js';
import { isUrl } from './url-source.js';

export interface CopySources {
  readonly key: unknown;
  /** By what is in the files; not so: by an image they are part of, which may say more than they do. */
  readonly exact: boolean;
}

/** What a COPY or ADD takes, as far as the builder has it already: with the image below and the words of the step it says all that comes of it. */
export async function copySources(session: BuildSession, step: CopyStep, earlier: readonly PlannedStage[], number: number): Promise<CopySources | undefined> {
  if (step.from !== undefined) return { key: (await sourceImage(session, step.from, earlier, number)).id, exact: false };
  if (step.sources.some((source) => isUrl(source) || isGitAddress(source))) return undefined;
  const { archive, paths } = session.context;
  try {
    // Each by its own path: where it goes is in the step.
    return { key: new CopyPlan(archive, paths, { sources: step.sources, destination: '/', intoDirectory: true, owner: { uid: 0, gid: 0 }, mode: undefined, parents: true, exclude: step.flags.exclude, missing: [] }).key, exact: true };
  } catch (error) {
    // The step itself tells what is wrong with them.
    if (isCodedError(error)) return undefined;
    throw error;
  }
}
