import type { Instruction } from '../dockerfile/instructions.js';
import type { Place } from '../dockerfile/place.js';

/** Checks by the names that BuildKit's users know. */
export const LINT_RULES = [
  'ConsistentInstructionCasing', 'CopyIgnoredFile', 'DuplicateStageName', 'ExposeInvalidFormat', 'ExposeProtoCasing', 'FromAsCasing', 'FromPlatformFlagConstDisallowed', 'InvalidDefaultArgInFrom',
  'InvalidDefinitionDescription', 'JSONArgsRecommended', 'LegacyKeyValueFormat', 'MaintainerDeprecated', 'MultipleInstructionsDisallowed', 'NoEmptyContinuation', 'RedundantTargetPlatform',
  'ReservedStageName', 'SecretsUsedInArgOrEnv', 'StageNameCasing', 'UndefinedArgInFrom', 'UndefinedVar', 'WorkdirRelativePath',
] as const;
export type LintRule = (typeof LINT_RULES)[number];

/** What works, and is likely not what was meant. */
export interface LintWarning {
  readonly rule: LintRule;
  readonly message: string;
  readonly place: Place;
}

export type Warn = (rule: LintRule, place: Place, message: string) => void;

/** As it was written. */
export function keywordOf({ text }: Pick<Instruction, 'text'>): string {
  return /^\S+/.exec(text.trimStart())?.[0] ?? '';
}
