export * from './builder.js';
export * from './dockerfile/dockerfile.js';
export type { Instruction } from './dockerfile/instructions.js';
export type { Directives } from './dockerfile/directives.js';
export type { Heredoc } from './dockerfile/heredocs.js';
export { LINT_RULES, type LintRule, type LintWarning } from './lint/lint-warning.js';
export type { Place } from './dockerfile/place.js';
export { DockerfileBuilder } from './drivers/dockerfile-builder.js';
export type { DockerfileBuilderOptions } from './drivers/builder-services.js';
