import type { Step } from '../stages/steps.js';
import { appendStep } from './append-step.js';
import type { BuildSession, StageImage } from './build-session.js';
import type { CacheSources, NamedStep } from './cache-sources.js';

export interface StepToFind {
  readonly below: StageImage;
  readonly step: Step;
  readonly number: number;
  /** Of the tenant's own cache. */
  readonly key: string;
  /** That images say they were made by; undefined: not known yet. */
  readonly canonicalKey: string | undefined;
}

export interface KnownStep {
  readonly image: StageImage;
  /** It came from an image of `--cache-from`: who names one trusts it for this build, and other builds are not to have it from there. */
  readonly borrowed: boolean;
}

/** Steps of a stage that need not be carried out: the tenant's own, and those of images that the build names. */
export class KnownSteps {
  constructor(
    private readonly session: BuildSession,
    private readonly sources: CacheSources,
    private readonly slot: string,
  ) {}

  /** Where a named image has the step, the tenant's own result counts only if it is that very one: on top of another, no further step of the image would be known. */
  async find({ below, step, number, key, canonicalKey }: StepToFind): Promise<KnownStep | undefined> {
    const named = (await this.sources.named(below, step, number)).filter((each) => canonicalKey === undefined || each.key === canonicalKey);
    const own = await this.session.cached(key, this.slot, (image) => named.length === 0 || named.some((each) => each.isTopOf(image)));
    if (own !== undefined) return { image: own, borrowed: false };
    const [first] = canonicalKey === undefined ? [] : named;
    return first && { image: await this.borrowed(below, step, first), borrowed: true };
  }

  /** Made again to the byte, so that it has the ID that all further keys begin from. */
  private async borrowed(below: StageImage, step: Step, { image, key, created, layer }: NamedStep): Promise<StageImage> {
    const { session, slot } = this;
    const made = await appendStep(session, slot, { below, step, key, created, ...(layer === undefined ? {} : { layerOf: { image, index: layer } }) });
    if (made.id !== image) await session.noteBorrowed(made);
    return made;
  }
}
