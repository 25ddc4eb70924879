import type { IgnoreFile } from '#kernel';
import type { Dockerfile, Stage } from '../dockerfile/dockerfile.js';
import type { Instruction } from '../dockerfile/instructions.js';
import type { LintPolicy } from './check-directive.js';
import { lintFrom } from './lint-from.js';
import { isAbsolute, lintInstruction } from './lint-instruction.js';
import { keywordOf, type LintWarning, type Warn } from './lint-warning.js';

const MAX_WARNINGS = 100;
const RESERVED: ReadonlySet<string> = new Set(['scratch', 'context']);
/** Of these the last one of a stage counts. */
const ONCE = ['CMD', 'ENTRYPOINT', 'HEALTHCHECK'] as const;

export interface LintOptions {
  readonly policy: LintPolicy;
  /** Of the context; absent: there is none. */
  readonly ignore?: Pick<IgnoreFile, 'ignores'>;
  readonly platformArgs: ReadonlyMap<string, string>;
}

/** All that can be said of a Dockerfile before it is carried out, in the order of the file, at most 100 warnings. */
export function lintDockerfile(dockerfile: Dockerfile, options: LintOptions): LintWarning[] {
  const warnings: LintWarning[] = [];
  const warn: Warn = (rule, place, message) => {
    if (options.policy.accepts(rule)) warnings.push({ rule, message, place });
  };
  for (const { rule, place, text } of dockerfile.notes) warn(rule, place, text);
  const all: Instruction[] = [...dockerfile.metaArgs, ...dockerfile.stages.flatMap(({ from, instructions }) => [from, ...instructions])];
  lintCasing(all, warn);
  for (const [index, stage] of dockerfile.stages.entries()) {
    lintStageName(stage, dockerfile.stages.slice(0, index), warn);
    lintFrom(stage.from, dockerfile, options.platformArgs, warn);
    lintRepeated(stage, warn);
  }
  for (const instruction of dockerfile.metaArgs) lintInstruction(instruction, {}, warn);
  const placed = new Set<string>();
  for (const { from, instructions } of dockerfile.stages) {
    const hasShell = instructions.some(({ kind }) => kind === 'SHELL');
    let hasWorkdir = placed.has(from.image.toLowerCase());
    for (const instruction of instructions) {
      lintInstruction(instruction, { hasShell, hasWorkdir, ...(options.ignore === undefined ? {} : { ignore: options.ignore }) }, warn);
      if (instruction.kind === 'WORKDIR') hasWorkdir ||= isAbsolute(instruction.path);
    }
    if (hasWorkdir && from.stageName !== undefined) placed.add(from.stageName);
  }
  return warnings.sort((one, other) => one.place.line - other.place.line || one.place.column - other.place.column).slice(0, MAX_WARNINGS);
}

function lintCasing(instructions: readonly Instruction[], warn: Warn): void {
  const words = instructions.map((instruction) => ({ instruction, word: keywordOf(instruction) }));
  const [upper, lower] = [words.filter(({ word }) => word === word.toUpperCase()), words.filter(({ word }) => word === word.toLowerCase())].map(({ length }) => length) as [number, number];
  const isUpper = upper >= lower;
  for (const { instruction, word } of words) {
    if (word !== (isUpper ? word.toUpperCase() : word.toLowerCase())) warn('ConsistentInstructionCasing', instruction.place, `Command '${word}' should match the case of the command majority (${isUpper ? 'uppercase' : 'lowercase'})`);
  }
}

function lintStageName({ from }: Stage, earlier: readonly Stage[], warn: Warn): void {
  const { stageName, place } = from;
  if (stageName === undefined) return;
  if (RESERVED.has(stageName)) warn('ReservedStageName', place, `Stage name should not use the same name as reserved stage "${stageName}"`);
  if (earlier.some((stage) => stage.from.stageName === stageName)) warn('DuplicateStageName', place, `Duplicate stage name "${stageName}", stage names should be unique`);
}

function lintRepeated({ instructions }: Stage, warn: Warn): void {
  for (const kind of ONCE) {
    for (const { place } of instructions.filter((each) => each.kind === kind).slice(0, -1)) warn('MultipleInstructionsDisallowed', place, `Multiple ${kind} instructions should not be used in the same stage because only the last one will be used`);
  }
}
