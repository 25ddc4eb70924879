import { CodedError, type IgnoreFile } from '#kernel';
import { hostPlatform, normalizePlatform, platformText } from '../../images/index.js';
import type { BuildRequest } from '../builder.js';
import type { Dockerfile } from '../dockerfile/dockerfile.js';
import type { Arg, From, Instruction } from '../dockerfile/instructions.js';
import { lintPolicy, refuseWarnings, type LintPolicy } from '../lint/check-directive.js';
import { lintDockerfile } from '../lint/lint.js';
import type { LintWarning } from '../lint/lint-warning.js';
import { platformArguments, PROXY_ARGUMENTS } from '../stages/build-arguments.js';
import { planStages, type PlannedStage, type StageGraph } from '../stages/stage-graph.js';

/** A Dockerfile's stages with their steps numbered. */
export interface BuildPlan {
  readonly graph: StageGraph;
  readonly metaArgs: readonly Arg[];
  readonly stages: readonly NumberedStage[];
  readonly totalSteps: number;
  /** What an ARG of a stage may take its value from. */
  readonly inherited: ReadonlyMap<string, string>;
  readonly escape: '\\' | '`';
  /** Told before the first step. */
  readonly lint: readonly LintWarning[];
  readonly policy: LintPolicy;
  /** Told when all is done. */
  readonly warnings: readonly string[];
}

export interface NumberedStage {
  readonly planned: PlannedStage;
  readonly instructions: readonly Exclude<Instruction, From>[];
  readonly firstStep: number;
}

/** @throws CodedError `invalid_argument` with the place in the file (a check that fails, where checks are errors), `unsupported` (another platform) */
export function planBuild(dockerfile: Dockerfile, request: Pick<BuildRequest, 'target' | 'buildArgs' | 'labels' | 'platform'>, ignore?: Pick<IgnoreFile, 'ignores'>): BuildPlan {
  const native = hostPlatform();
  requireNative(request.platform);
  const platformArgs = platformArguments(native, native);
  const graph = planStages(dockerfile, { buildArgs: request.buildArgs, platformArgs, ...(request.target === undefined ? {} : { target: request.target }) });
  let next = 1 + dockerfile.metaArgs.length;
  const stages = graph.stages.map((planned): NumberedStage => {
    requireNative(planned.platform);
    const instructions = planned === graph.target ? [...planned.stage.instructions, ...labelInstructions(request.labels, planned.stage.from)] : planned.stage.instructions;
    const firstStep = next;
    next += 1 + instructions.length;
    return { planned, instructions, firstStep };
  });
  const { escape, check } = dockerfile.directives;
  const policy = lintPolicy(check);
  const lint = lintDockerfile(dockerfile, { policy, platformArgs, ...(ignore === undefined ? {} : { ignore }) });
  refuseWarnings(lint, policy);
  return { lint, policy, graph, metaArgs: dockerfile.metaArgs, stages, totalSteps: next - 1, inherited: new Map([...platformArgs, ...graph.metaArguments]), escape, warnings: warningsOf(dockerfile, request.buildArgs) };
}

function requireNative(text: string | undefined): void {
  if (text === undefined || text === '') return;
  const [first = '', second, variant, ...more] = text.split('/');
  const [os, architecture] = second === undefined ? ['linux', first === 'linux' ? hostPlatform().architecture : first] : [first, second];
  const wanted = normalizePlatform({ os, architecture, ...(variant === undefined ? {} : { variant }) });
  const native = platformText(hostPlatform());
  if (more.length > 0 || platformText(wanted) !== native) throw new CodedError('unsupported', `building for the platform ${text.slice(0, 100)} is not supported by this server: it builds for ${native}`);
}

/** As one more instruction at the end, which is where `--label` stands. */
function labelInstructions(labels: ReadonlyMap<string, string>, { place }: From): Exclude<Instruction, From>[] {
  if (labels.size === 0) return [];
  const quoted = (text: string): string => `'${text.replaceAll("'", `'"'"'`)}'`;
  const pairs = [...labels].sort(([one], [other]) => (one < other ? -1 : 1)).map(([key, value]) => ({ key: quoted(key), value: quoted(value) }));
  return [{ kind: 'LABEL', place, text: `LABEL ${[...labels].map(([key, value]) => `${key}=${value}`).join(' ')}`, pairs }];
}

function warningsOf({ metaArgs, stages }: Dockerfile, given: ReadonlyMap<string, string>): string[] {
  const declared = new Set([...metaArgs, ...stages.flatMap(({ instructions }) => instructions.flatMap((each) => (each.kind === 'ARG' ? [each] : [])))].flatMap(({ args }) => args.map(({ key }) => key)));
  const left = [...given.keys()].filter((name) => !declared.has(name) && !PROXY_ARGUMENTS.has(name)).sort();
  return left.length === 0 ? [] : [`One or more build-args [${left.join(' ')}] were not consumed`];
}
