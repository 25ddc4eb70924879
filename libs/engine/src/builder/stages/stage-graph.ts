import { CodedError } from '#kernel';
import type { Dockerfile, Stage } from '../dockerfile/dockerfile.js';
import type { Instruction } from '../dockerfile/instructions.js';
import { fault } from '../dockerfile/place.js';
import { expandWord } from '../words/expand.js';
import { DeclaredArguments } from './build-arguments.js';

/** Where files or a base come from. */
export type StageSource = { readonly kind: 'stage'; readonly index: number } | { readonly kind: 'image'; readonly name: string } | { readonly kind: 'scratch' };

export interface PlannedStage {
  readonly index: number;
  readonly name: string | undefined;
  readonly base: StageSource;
  /** As asked for, or undefined. */
  readonly platform: string | undefined;
  readonly stage: Stage;
  /** Stages that must be there before this one ends, its base included. */
  readonly needs: readonly number[];
}

export interface StageGraph {
  /** Those that the target needs, the target too, in the order of the file. */
  readonly stages: readonly PlannedStage[];
  readonly target: PlannedStage;
  /** ARGs before the first FROM, with their values. */
  readonly metaArguments: ReadonlyMap<string, string>;
}

export interface GraphOptions {
  /** Name or number of a stage; absent: the last. */
  readonly target?: string;
  readonly buildArgs: ReadonlyMap<string, string>;
  readonly platformArgs: ReadonlyMap<string, string>;
}

/** @throws CodedError `invalid_argument`: a target that is not there, a FROM that names nothing. Of two stages of one name the later one counts from there on. */
export function planStages({ directives, metaArgs, stages }: Dockerfile, options: GraphOptions): StageGraph {
  const declared = new DeclaredArguments(options.buildArgs, options.platformArgs);
  const metaArguments = new Map<string, string>();
  const variables = (name: string): string | undefined => metaArguments.get(name) ?? options.platformArgs.get(name);
  const expanded = (word: string, place: Instruction['place']): string => {
    try {
      return expandWord(word, { escape: directives.escape, variables });
    } catch (error) {
      if (error instanceof CodedError) throw fault(place, error.message);
      throw error;
    }
  };
  for (const { args, place } of metaArgs) {
    for (const { key, value } of args) {
      declared.declare(key, value === undefined ? undefined : expanded(value, place));
      const result = declared.get(key);
      if (result !== undefined) metaArguments.set(key, result);
    }
  }
  const planned: PlannedStage[] = [];
  for (const stage of stages) {
    const { from } = stage;
    const image = expanded(from.image, from.place);
    if (image === '') throw fault(from.place, `base name (${from.image.slice(0, 200)}) should not be blank`);
    const platform = from.platform === undefined ? undefined : expanded(from.platform, from.place);
    const base = image === 'scratch' ? ({ kind: 'scratch' } as const) : sourceOf(image, planned);
    planned.push({ index: stage.index, name: from.stageName, base, platform, stage, needs: needsOf(base, stage, planned) });
  }
  const target = targetOf(planned, options.target);
  return { stages: reachable(planned, target), target, metaArguments };
}

/** The earlier stage of that name, else an image. */
export function sourceOf(text: string, earlier: readonly Pick<PlannedStage, 'index' | 'name'>[]): StageSource {
  const stage = earlier.findLast(({ name }) => name === text.toLowerCase());
  return stage === undefined ? { kind: 'image', name: text } : { kind: 'stage', index: stage.index };
}

/** What `--from` and `from=` name: an earlier stage by name or number, else an image. */
export function fromSource(text: string, earlier: readonly Pick<PlannedStage, 'index' | 'name'>[]): StageSource {
  const stage = /^\d{1,5}$/.test(text) ? earlier.find(({ index }) => index === Number(text)) : undefined;
  return stage === undefined ? sourceOf(text, earlier) : { kind: 'stage', index: stage.index };
}

function needsOf(base: StageSource, { instructions }: Stage, earlier: readonly PlannedStage[]): number[] {
  const names = instructions.flatMap((instruction): (string | undefined)[] => {
    if (instruction.kind === 'COPY') return [instruction.from];
    return instruction.kind === 'RUN' ? instruction.mounts.map(({ from }) => from) : [];
  });
  const sources = [base, ...names.flatMap((name) => (name === undefined ? [] : [fromSource(name, earlier)]))];
  return [...new Set(sources.flatMap((source) => (source.kind === 'stage' ? [source.index] : [])))];
}

function targetOf(stages: readonly PlannedStage[], wanted: string | undefined): PlannedStage {
  const byName = wanted === undefined || wanted === '' ? stages.at(-1) : stages.findLast(({ name }) => name === wanted.toLowerCase());
  const found = byName ?? (/^\d{1,5}$/.test(wanted ?? '') ? stages[Number(wanted)] : undefined);
  if (found === undefined) throw new CodedError('invalid_argument', `target stage ${JSON.stringify((wanted ?? '').slice(0, 200))} could not be found`);
  return found;
}

function reachable(stages: readonly PlannedStage[], target: PlannedStage): PlannedStage[] {
  const needed = new Set<number>();
  const visit = (index: number): void => {
    if (needed.has(index)) return;
    needed.add(index);
    for (const each of stages[index]?.needs ?? []) visit(each);
  };
  visit(target.index);
  return stages.filter(({ index }) => needed.has(index));
}
