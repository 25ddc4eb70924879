import type { CreateRun, RunFile, RuntimeDefinition } from '#contracts';
import { CodedError } from '#kernel';

/** Where a run's files lie and its steps start. Owned by `runner`. */
export const WORK_DIR = '/work';
export const RUNNER = 1000;

export type StepName = 'compile' | 'run';

export interface StepLimits {
  readonly cpuTimeMs: number;
  readonly wallTimeMs: number;
  readonly memoryBytes: number;
  readonly pids: number;
  readonly cpuMillis: number;
  readonly openFiles: number;
  readonly outputBytes: number;
}

export interface PlannedStep {
  readonly name: StepName;
  /** The agent starts one process per id, however often it is asked to. */
  readonly processId: 1 | 2;
  readonly argv: readonly string[];
  /** `NAME=value` */
  readonly env: readonly string[];
  readonly uid: number;
  readonly limits: StepLimits;
  /** Whether it gets a stdin; without one it reads end-of-file at once. */
  readonly stdin: boolean;
}

export interface PlannedFile {
  /** Absolute in the guest. */
  readonly path: string;
  readonly content: Buffer;
  readonly mode: number;
}

export interface RunPlan {
  readonly files: readonly PlannedFile[];
  readonly steps: readonly PlannedStep[];
  readonly diskBytes: number;
  readonly stdin: Buffer;
  readonly stdinOpen: boolean;
}

/**
 * Spec and runtime → plain data for the engine. Pure.
 * @throws CodedError `invalid_argument` when `{sources}` finds no file
 */
export function planRun(spec: CreateRun, definition: RuntimeDefinition): RunPlan {
  const files = plannedFiles(spec, definition);
  const names = [...files.keys()].sort();
  const main = mainFile(names, definition);
  const stdin = Buffer.from(spec.stdin, spec.stdinEncoding);
  const uid = spec.user === 'root' ? 0 : RUNNER;
  const env = environment(spec, definition, uid);
  const limits = spec.limits;
  const expand = (argv: readonly string[]): string[] => expandArgv(argv, main, names, definition);

  const steps: PlannedStep[] = [];
  if (spec.entry === undefined && definition.compile !== undefined) {
    const least = definition.compile.limits;
    steps.push({
      name: 'compile',
      processId: 1,
      argv: expand(definition.compile.argv),
      env,
      uid,
      stdin: false,
      limits: {
        ...stepLimits(limits),
        cpuTimeMs: Math.max(limits.cpuTimeMs, least.cpuTimeMs),
        wallTimeMs: Math.max(limits.wallTimeMs, least.wallTimeMs),
        memoryBytes: Math.max(limits.memoryBytes, least.memoryBytes),
        pids: Math.max(limits.pids, least.pids),
      },
    });
  }
  steps.push({
    name: 'run',
    processId: 2,
    argv: [...(spec.entry ?? expand(definition.run)), ...spec.args],
    env,
    uid,
    stdin: stdin.length > 0 || spec.stdinOpen,
    limits: stepLimits(limits),
  });
  return {
    files: [...files].map(([name, file]) => ({ path: `${WORK_DIR}/${name}`, ...file })),
    steps,
    diskBytes: limits.diskBytes,
    stdin,
    stdinOpen: spec.stdinOpen,
  };
}

function stepLimits(limits: CreateRun['limits']): StepLimits {
  const { cpuTimeMs, wallTimeMs, memoryBytes, pids, cpuMillis, openFiles, outputBytes } = limits;
  return { cpuTimeMs, wallTimeMs, memoryBytes, pids, cpuMillis, openFiles, outputBytes };
}

function plannedFiles(spec: CreateRun, definition: RuntimeDefinition): Map<string, Omit<PlannedFile, 'path'>> {
  const files = new Map(Object.entries(spec.files ?? {}).map(([path, file]) => [path, decode(file)]));
  if (spec.code !== undefined) files.set(definition.mainFile, decode(spec.code));
  return files;
}

function decode(file: RunFile): Omit<PlannedFile, 'path'> {
  if (typeof file === 'string') return { content: Buffer.from(file), mode: 0o644 };
  return { content: Buffer.from(file.content, file.encoding), mode: file.executable ? 0o755 : 0o644 };
}

/** The runtime's main file; when it is not among the files but exactly one source is, that one. */
function mainFile(names: readonly string[], definition: RuntimeDefinition): string {
  if (names.includes(definition.mainFile)) return definition.mainFile;
  const sources = sourcesOf(names, definition);
  return sources.length === 1 && sources[0] !== undefined ? sources[0] : definition.mainFile;
}

function sourcesOf(names: readonly string[], definition: RuntimeDefinition): string[] {
  return names.filter((name) => definition.sourceExtensions.some((extension) => name.endsWith(extension)));
}

/** A file name that begins with a dash is an option to the program that is given it. */
function asArgument(name: string): string {
  return name.startsWith('-') ? `./${name}` : name;
}

function expandArgv(argv: readonly string[], main: string, names: readonly string[], definition: RuntimeDefinition): string[] {
  return argv.flatMap((argument) => {
    if (argument !== '{sources}') return [argument.replaceAll('{main}', () => asArgument(main))];
    const sources = sourcesOf(names, definition);
    if (sources.length === 0) {
      throw new CodedError('invalid_argument', `no file to compile: none of the files ends in ${definition.sourceExtensions.join(' or ')}`);
    }
    return sources.map(asArgument);
  });
}

function environment(spec: CreateRun, definition: RuntimeDefinition, uid: number): string[] {
  const variables = {
    PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
    HOME: uid === 0 ? '/root' : WORK_DIR,
    USER: uid === 0 ? 'root' : 'runner',
    LANG: 'C.UTF-8',
    ...definition.env,
    ...spec.env,
  };
  return Object.entries(variables).map(([name, value]) => `${name}=${value}`);
}
