import { isCodedError, type Digest } from '#kernel';
import type { ImageHistoryEntry } from '../../images/index.js';
import type { Step } from '../stages/steps.js';
import type { BuildSession, StageImage } from './build-session.js';
import type { StepRow } from './step-record.js';

/** As images are made here: a row of another form was not, and clients that read times would stumble over it. */
const CREATED = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/;
const ENTRY = ['created', 'created_by', 'author', 'comment', 'empty_layer'] as const;

interface CacheSource {
  readonly id: Digest;
  readonly rows: readonly StepRow[];
  readonly diffIds: readonly Digest[];
}

/** A step that an image of `--cache-from` has at the place where a stage has come to. */
export interface NamedStep {
  readonly image: Digest;
  readonly key: string;
  /** RFC 3339. */
  readonly created: string;
  /** Of the image's layers, from 0 on. undefined: the step made none. */
  readonly layer: number | undefined;
  /** Whether an image that stands on the same one is what the step came to there. */
  isTopOf(image: StageImage): boolean;
}

/**
 * The images of `--cache-from`, in their order, as far as they say how they were made. A step is taken from one only on top of the very image that it was
 * made on there. They are looked for when the first step is; what cannot be had is warned of and does no harm.
 */
export class CacheSources {
  private opened: Promise<readonly CacheSource[]> | undefined;

  constructor(private readonly session: BuildSession) {}

  /** Rows that tell of such a step on top of `below`. `number`: of the step that asks, which what is pulled is told with. @throws CodedError `cancelled` */
  async named(below: StageImage, step: Step, number: number): Promise<readonly NamedStep[]> {
    this.opened ??= this.open(number);
    return (await this.opened).flatMap((source) => namedStep(source, below, step) ?? []);
  }

  private async open(number: number): Promise<readonly CacheSource[]> {
    const found: CacheSource[] = [];
    for (const name of new Set(this.session.request.cacheFrom)) {
      const source = await this.source(name, number);
      if (source !== undefined) found.push(source);
    }
    return found;
  }

  private async source(name: string, number: number): Promise<CacheSource | undefined> {
    const image = await this.image(name, number);
    if (image?.id === undefined) return undefined;
    const { id, rows, diffIds } = image;
    // No row is without its layer, and no layer without its row: the last one would be an empty one then.
    if (typeof rows.at(-1)?.key === 'string' && layersBelow(rows, rows.length) === diffIds.length) return { id, rows, diffIds };
    return this.nothing(`the image ${name} says nothing of how it was made`);
  }

  private async image(name: string, number: number): Promise<StageImage | undefined> {
    try {
      return await this.session.cacheImage(name, number);
    } catch (error) {
      this.session.mustGoOn();
      if (!isCodedError(error)) throw error;
      return this.nothing(`the image ${name} cannot be had: ${error.message}`);
    }
  }

  private async nothing(why: string): Promise<undefined> {
    await this.session.report({ kind: 'warning', message: `cache-from: ${why}: nothing is taken from it` });
  }
}

function namedStep({ id, rows, diffIds }: CacheSource, below: StageImage, step: Step): NamedStep | undefined {
  const place = below.rows.length;
  const row = rows[place];
  if (row?.key == null || !isOf(row.entry, step)) return undefined;
  const { entry, key } = row;
  const { created } = entry;
  if (created === undefined || !CREATED.test(created) || Number.isNaN(Date.parse(created))) return undefined;
  const layer = layersBelow(rows, place);
  const standsOn = below.rows.every((each, index) => isSame(each.entry, rows[index]?.entry)) && below.diffIds.length === layer && below.diffIds.every((diffId, index) => diffId === diffIds[index]);
  if (!standsOn) return undefined;
  const own = entry.empty_layer === true ? [] : diffIds.slice(layer, layer + 1);
  return {
    image: id,
    key,
    created,
    layer: own.length === 0 ? undefined : layer,
    isTopOf: (image) => image.rows.length === place + 1 && isSame(image.rows[place]?.entry, entry) && image.diffIds.length === layer + own.length && own.every((diffId) => diffId === image.diffIds[layer]),
  };
}

/** The row that the step itself would make, but for its time and its layer. */
function isOf(entry: ImageHistoryEntry, { kind, createdBy, author }: Step): boolean {
  return entry.created_by === createdBy && (entry.author ?? '') === author && entry.comment === undefined && (kind !== 'config' || entry.empty_layer === true);
}

function isSame(one: ImageHistoryEntry | undefined, other: ImageHistoryEntry | undefined): boolean {
  return ENTRY.every((field) => one?.[field] === other?.[field]);
}

/** Of the rows below that one. */
function layersBelow(rows: readonly StepRow[], place: number): number {
  return rows.slice(0, place).filter(({ entry }) => entry.empty_layer !== true).length;
}
