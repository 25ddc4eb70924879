import { CodedError } from '#kernel';
import type { Arg, Command, CommandLine, Copy, Env, HealthCheckInstruction, Instruction, KeyValue, Run } from '../dockerfile/instructions.js';
import { fault } from '../dockerfile/place.js';
import type { LintWarning } from '../lint/lint-warning.js';
import { undefinedVariable } from '../lint/undefined-variable.js';
import { expandWord, expandWords, type ExpandOptions } from '../words/expand.js';
import { variablesOf, type Variables } from '../words/variables.js';
import type { DeclaredArguments } from './build-arguments.js';
import { DEFAULT_SHELL, resolvedPath, withEnv, withLabels, withoutCommand, withPorts, withVolumes } from './config-changes.js';
import { documentOf, type BuildConfig, type CopyStep, type RunStep, type Step } from './steps.js';

const NANOS_PER_MS = 1_000_000;
const NOP = '/bin/sh -c #(nop) ';
/** All variables together: each line may double what the last one left. */
const MAX_ENV_BYTES = 1024 * 1024;

export interface StageStart {
  readonly config: BuildConfig;
  readonly author: string;
  readonly args: DeclaredArguments;
  readonly escape: '\\' | '`';
  /** Told of variables that nothing stands for. */
  readonly warn?: (warning: LintWarning) => void;
}

/** What a stage knows while its instructions are carried out one after the other: config, arguments, shell. */
export class StageState {
  private config: BuildConfig;
  private author: string;
  private commandGiven = false;
  private current: Instruction | undefined;
  /** The environment, looked through once for all words that it stands for. */
  private known: { readonly entries: readonly string[]; readonly env: Variables } | undefined;
  private readonly args: DeclaredArguments;

  constructor(private readonly start: StageStart) {
    this.config = start.config;
    this.author = start.author;
    this.args = start.args;
  }

  /** The step of an instruction, or undefined for one that changes nothing by itself (ARG). @throws CodedError `invalid_argument` with its place */
  step(instruction: Instruction): Step | undefined {
    this.current = instruction;
    try {
      return this.carryOut(instruction);
    } catch (error) {
      if (error instanceof CodedError && error.code === 'invalid_argument' && !('line' in error.details)) throw fault(instruction.place, error.message);
      throw error;
    }
  }

  private carryOut(instruction: Instruction): Step | undefined {
    switch (instruction.kind) {
      case 'FROM':
        return undefined;
      case 'ARG':
        this.declare(instruction);
        return undefined;
      case 'ENV':
        return this.env(instruction);
      case 'LABEL': {
        const pairs = instruction.pairs.map(({ key, value }) => ({ key: this.word(key), value: this.word(value) }));
        return this.changed(instruction, withLabels(this.config, pairs), pairsText(pairs));
      }
      case 'RUN':
        return this.run(instruction);
      case 'CMD':
      case 'ENTRYPOINT':
        return this.command(instruction);
      case 'COPY':
      case 'ADD':
        return this.copy(instruction);
      case 'HEALTHCHECK':
        return this.changed(instruction, { ...this.config, Healthcheck: healthcheck(instruction) }, healthText(instruction));
      case 'SHELL':
        return this.changed(instruction, { ...this.config, Shell: instruction.argv }, `[${instruction.argv.join(' ')}]`);
      case 'MAINTAINER':
        this.author = instruction.name;
        return this.changed(instruction, this.config, instruction.name);
      case 'ONBUILD':
        return this.changed(instruction, { ...this.config, OnBuild: [...(this.config.OnBuild ?? []), instruction.trigger] }, instruction.trigger);
      case 'EXPOSE':
      case 'VOLUME':
      case 'USER':
      case 'WORKDIR':
      case 'STOPSIGNAL':
        return this.place(instruction);
    }
  }

  private place(instruction: Extract<Instruction, { kind: 'EXPOSE' | 'VOLUME' | 'USER' | 'WORKDIR' | 'STOPSIGNAL' }>): Step {
    switch (instruction.kind) {
      case 'EXPOSE': {
        const ports = instruction.ports.flatMap((port) => this.words(port));
        const config = withPorts(this.config, ports);
        if (config === undefined) throw new CodedError('invalid_argument', `invalid containerPort: ${ports.join(' ').slice(0, 200)}`);
        return this.changed(instruction, config, ports.sort().join(' '));
      }
      case 'VOLUME': {
        const paths = instruction.paths.map((path) => this.word(path));
        return this.changed(instruction, withVolumes(this.config, paths), `[${paths.join(' ')}]`);
      }
      case 'USER': {
        const user = this.word(instruction.user);
        if (user === '') throw new CodedError('invalid_argument', 'USER needs a name');
        return this.changed(instruction, { ...this.config, User: user }, ` ${user}`);
      }
      case 'WORKDIR': {
        const path = resolvedPath(this.config.WorkingDir ?? '/', this.word(instruction.path));
        this.config = { ...this.config, WorkingDir: path };
        return { kind: 'workdir', path, ...this.common(instruction, `${NOP}WORKDIR ${path}`) };
      }
      case 'STOPSIGNAL': {
        const signal = this.word(instruction.signal);
        if (!/^(?:SIG)?[A-Z0-9+-]{1,16}$/i.test(signal)) throw new CodedError('invalid_argument', `invalid signal: ${signal.slice(0, 100)}`);
        return this.changed(instruction, { ...this.config, StopSignal: signal }, ` ${signal}`);
      }
    }
  }

  private declare({ args }: Arg): void {
    for (const { key, value } of args) this.args.declare(this.word(key), value === undefined ? undefined : this.word(value));
  }

  /** All values of one line see the variables as they were before it. */
  private env(instruction: Env): Step {
    const pairs = instruction.pairs.map(({ key, value }) => ({ key: this.word(key), value: this.word(value) }));
    const config = withEnv(this.config, pairs);
    if ((config.Env ?? []).reduce((bytes, entry) => bytes + entry.length, 0) > MAX_ENV_BYTES) throw new CodedError('invalid_argument', 'the environment is larger than 1 MiB');
    return this.changed(instruction, config, ` ${pairsText(pairs)}`);
  }

  /** An entrypoint of its own drops the command of the base, which was meant for another. */
  private command(instruction: Command): Step {
    const argv = this.argvOf(instruction.command);
    const text = ` ${listText(argv)}`;
    if (instruction.kind === 'CMD') {
      this.commandGiven = true;
      return this.changed(instruction, { ...this.config, Cmd: argv }, text);
    }
    const config = this.commandGiven ? this.config : withoutCommand(this.config);
    return this.changed(instruction, { ...config, Entrypoint: argv }, text);
  }

  private run(instruction: Run): RunStep {
    const variables = variablesOf(this.config.Env ?? []);
    const declared = this.args.entries(variables);
    const { argv, script } = this.runArgv(instruction);
    // What was declared is part of what was done.
    const createdBy = [...(declared.length === 0 ? [] : [`|${declared.length}`, ...declared]), ...argv].join(' ');
    const network = instruction.network;
    return { kind: 'run', ...this.common(instruction, createdBy), argv, script, env: [...declared, ...(this.config.Env ?? [])], proxyEnv: this.args.proxies(variables), mounts: this.mounts(instruction), network };
  }

  private mounts({ mounts }: Run): Run['mounts'] {
    const word = (text: string | undefined): string | undefined => (text === undefined ? undefined : this.word(text));
    return mounts.map((mount) => ({ ...mount, target: word(mount.target), source: word(mount.source), id: word(mount.id) }));
  }

  /** A document alone is a script, for the shell or for what its first line names; beside a command it is the shell's own matter. */
  private runArgv({ command, heredocs }: Run): { readonly argv: readonly string[]; readonly script: string | undefined } {
    const [first] = heredocs;
    if (command.form === 'exec' || first === undefined) return { argv: this.argvOf(command), script: undefined };
    const alone = /^\d*<<-?["']?[^\s"']+["']?$/.test(command.line) && heredocs.length === 1;
    if (alone) return first.content.startsWith('#!') ? { argv: [first.name], script: first.content } : { argv: [...this.shell, first.content], script: undefined };
    const documents = heredocs.map(({ name, content }) => `\n${content}${name}`).join('');
    return { argv: [...this.shell, `${command.line}${documents}`], script: undefined };
  }

  private copy(instruction: Copy): CopyStep {
    const sources = instruction.sources.map((source) => this.word(source));
    const written = this.word(instruction.destination);
    const resolved = resolvedPath(this.config.WorkingDir ?? '/', written);
    const folder = /(?:^|\/)\.{0,2}$/.test(written) && resolved !== '/';
    const documents = instruction.heredocs.map((heredoc) => ({ name: heredoc.name, content: documentOf(heredoc, (text) => expandWord(text, { escape: '\\', variables: this.variables, raw: true })) }));
    const { parents, checksum, keepGitDir, unpack, link } = instruction;
    return {
      kind: 'copy',
      ...this.common(instruction, `${NOP}${instruction.kind} ${[...sources, ...documents.map(({ name }) => `<<${name}`)].join(' ')} in ${written} `),
      instruction: instruction.kind,
      sources,
      documents,
      destination: folder ? `${resolved}/` : resolved,
      chown: instruction.chown === undefined ? undefined : this.word(instruction.chown),
      chmod: instruction.chmod === undefined ? undefined : modeOf(this.word(instruction.chmod)),
      from: instruction.from,
      flags: { parents, link, exclude: instruction.exclude.map((pattern) => this.word(pattern)), checksum: checksum === undefined ? undefined : this.word(checksum), keepGitDir, unpack },
    };
  }

  private argvOf(command: CommandLine): readonly string[] {
    return command.form === 'exec' ? command.argv : [...this.shell, command.line];
  }

  private get shell(): readonly string[] {
    const { Shell: shell } = this.config;
    return shell === undefined || shell.length === 0 ? DEFAULT_SHELL : shell;
  }

  private changed(instruction: Instruction, config: BuildConfig, text: string): Step {
    this.config = config;
    return { kind: 'config', ...this.common(instruction, `${NOP} ${instruction.kind} ${text.trimStart()}`) };
  }

  private common({ text, place }: Instruction, createdBy: string): Omit<Extract<Step, { kind: 'config' }>, 'kind'> {
    return { text, place, createdBy, config: this.config, author: this.author };
  }

  /** The environment wins over arguments. */
  private get variables(): Variables {
    const { Env: entries = [] } = this.config;
    if (this.known?.entries !== entries) this.known = { entries, env: variablesOf(entries) };
    const { env } = this.known;
    return (name) => env(name) ?? this.args.get(name);
  }

  private word(text: string): string {
    return expandWord(text, this.expansion);
  }

  private words(text: string): string[] {
    return expandWords(text, this.expansion);
  }

  private get expansion(): ExpandOptions {
    return { escape: this.start.escape, variables: this.variables, onUndefined: (name) => { this.missed(name); } };
  }

  private missed(name: string): void {
    const env = (this.config.Env ?? []).map((entry) => entry.split('=', 1)[0] ?? '');
    const warning = this.current === undefined ? undefined : undefinedVariable(name, this.current.place, [...env, ...this.args.declared()]);
    if (warning !== undefined) this.start.warn?.(warning);
  }
}

function modeOf(text: string): number {
  if (!/^[0-7]{1,4}$/.test(text)) throw new CodedError('invalid_argument', `invalid chmod parameter: '${text.slice(0, 100)}'. it should be octal string and between 0 and 07777`);
  return Number.parseInt(text, 8);
}

function pairsText(pairs: readonly KeyValue[]): string {
  return pairs.map(({ key, value }) => `${key}=${value}`).join(' ');
}

function listText(words: readonly string[]): string {
  return `[${words.map((word) => JSON.stringify(word)).join(' ')}]`;
}

function healthcheck({ test, intervalMs, timeoutMs, startPeriodMs, startIntervalMs, retries }: HealthCheckInstruction): NonNullable<BuildConfig['Healthcheck']> {
  const nanos = (name: string, ms: number | undefined): Record<string, number> => (ms === undefined ? {} : { [name]: Math.round(ms * NANOS_PER_MS) });
  return { Test: test, ...nanos('Interval', intervalMs), ...nanos('Timeout', timeoutMs), ...nanos('StartPeriod', startPeriodMs), ...nanos('StartInterval', startIntervalMs), ...(retries === undefined ? {} : { Retries: retries }) };
}

function healthText({ test }: HealthCheckInstruction): string {
  return listText(test);
}
