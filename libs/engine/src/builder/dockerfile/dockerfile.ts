import { CodedError } from '#kernel';
import { readDirectives, type Directives } from './directives.js';
import type { Arg, From, Instruction } from './instructions.js';
import { LogicalLines, type LineNote } from './logical-lines.js';
import { parseInstruction } from './parse-instruction.js';
import { fault } from './place.js';

/** A Dockerfile as it is written, before anything in it is expanded or looked up. */
export interface Dockerfile {
  readonly directives: Directives;
  /** ARGs before the first FROM: only FROM lines see them. */
  readonly metaArgs: readonly Arg[];
  /** At least one. */
  readonly stages: readonly Stage[];
  readonly notes: readonly LineNote[];
}

export interface Stage {
  readonly index: number;
  readonly from: From;
  readonly instructions: readonly Exclude<Instruction, From>[];
}

const MAX_BYTES = 1024 * 1024;
const MAX_INSTRUCTIONS = 10_000;
const MAX_STAGES = 1000;

/**
 * Reads a Dockerfile by the reference's rules.
 * @throws CodedError `invalid_argument`: `dockerfile parse error on line N, column M: …` with details {line, column}; `the Dockerfile cannot be empty`; `payload_too_large` beyond 1 MiB
 */
export function parseDockerfile(text: string): Dockerfile {
  if (Buffer.byteLength(text) > MAX_BYTES) throw new CodedError('payload_too_large', 'the Dockerfile is larger than 1 MiB', { maxBytes: MAX_BYTES });
  const lines = text.replace(/^\uFEFF/, '').split(/\r?\n/);
  const directives = readDirectives(lines);
  const reader = new LogicalLines(lines, directives.escape);
  const metaArgs: Arg[] = [];
  const stages: { index: number; from: From; instructions: Exclude<Instruction, From>[] }[] = [];
  let count = 0;
  for (const line of reader.read()) {
    const instruction = parseInstruction(line, directives.escape);
    if (line.comment !== undefined) noteDescription(instruction, line.comment, reader.notes);
    if ((count += 1) > MAX_INSTRUCTIONS) throw fault(instruction.place, `more than ${MAX_INSTRUCTIONS} instructions`);
    const stage = stages.at(-1);
    if (instruction.kind === 'FROM' && stages.length === MAX_STAGES) throw fault(instruction.place, `more than ${MAX_STAGES} stages`);
    if (instruction.kind === 'FROM') stages.push({ index: stages.length, from: instruction, instructions: [] });
    else if (stage !== undefined) stage.instructions.push(instruction);
    else if (instruction.kind === 'ARG') metaArgs.push(instruction);
    else throw fault(instruction.place, 'no build stage in current context: the first instruction must be FROM (or ARG)');
  }
  if (count === 0) throw new CodedError('invalid_argument', 'the Dockerfile cannot be empty', { line: 1, column: 1 });
  if (stages.length === 0) throw fault({ line: lines.length, column: 1 }, 'dockerfile contains no stages to build');
  return { directives, metaArgs, stages, notes: reader.notes };
}

/** A comment before a stage or an argument is read as what it is for: `# name what it is for`. */
function noteDescription(instruction: Instruction, comment: string, notes: LineNote[]): void {
  const names = instruction.kind === 'ARG' ? instruction.args.map(({ key }) => key) : instruction.kind === 'FROM' && instruction.stageName !== undefined ? [instruction.stageName] : [];
  const [first = ''] = comment.split(' ');
  if (names.length === 0 || names.includes(first) || names.includes(first.toLowerCase())) return;
  notes.push({ rule: 'InvalidDefinitionDescription', place: instruction.place, text: 'Comment for build stage or argument should follow the format: `# <arg/stage name> <description>`. If this is not intended to be a description comment, add an empty line or comment between the instruction and the comment.' });
}

/** The triggers of a base image, as if they stood behind the FROM. @throws as `parseDockerfile`; their places are those of the FROM */
export function parseTriggers(triggers: readonly string[], from: From): Exclude<Instruction, From>[] {
  return triggers.flatMap((trigger) => {
    const reader = new LogicalLines(trigger.split('\n'), '\\');
    return [...reader.read()].map((line) => {
      const instruction = parseInstruction({ ...line, placeOf: () => from.place }, '\\');
      if (instruction.kind === 'FROM' || instruction.kind === 'ONBUILD' || instruction.kind === 'MAINTAINER') throw fault(from.place, `${instruction.kind} isn't allowed as an ONBUILD trigger`);
      return instruction;
    });
  });
}
