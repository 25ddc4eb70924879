import { constants } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import type { FinalRunState, RunOutcome } from '#contracts';
import type { AgentEvent, CgroupUsage, GuestAgent, Sandbox, SandboxLimits } from '#engine';
import { asError, CodedError, isCodedError, type Clock, type Logger } from '#kernel';
import type { StepProgress, StepSummary } from './run-checkpoint.js';
import { RUNNER, WORK_DIR, type PlannedStep, type StepLimits } from './run-plan.js';
import { StepOutput, type StreamName } from './step-output.js';
import { stepVerdict } from './step-verdict.js';
import { watchStep } from './step-watch.js';

/** A program that cannot be started within this time never will (execve reads a file). */
const START_TIMEOUT_MS = 30_000;
/** After SIGKILL to everything. What is not gone then goes with the sandbox's cgroup. */
const KILL_GRACE_MS = 3000;
const LIMIT_PAUSES_MS = [5, 20, 50, 100, 200];

const SIGNAL_NAMES = new Map<number, string>(Object.entries(constants.signals).map(([name, number]) => [number, name]));

export const SHUT_DOWN = { code: 'unavailable', message: 'the node was shut down' } as const;

export type SandboxStepLimits = Pick<SandboxLimits, 'memoryBytes' | 'pids' | 'cpuMillis'>;
export type Interruption = 'cancelled' | 'shut_down';
type Exit = NonNullable<StepProgress['exit']>;

export interface StepEnd {
  readonly state: FinalRunState;
  /** null: it was never started. */
  readonly summary: StepSummary | null;
  readonly error: RunOutcome['error'];
}

export interface StepContext {
  readonly sandbox: Sandbox;
  readonly agent: GuestAgent;
  /** Resolves when the connection to the agent is over. */
  readonly gone: Promise<Error | undefined>;
  readonly clock: Clock;
  readonly logger: Logger;
  /** CPU time of the cgroup that earlier steps used, when the step may have been started already (then it is not measured). */
  readonly earlierCpuUs: number | undefined;
  /** What the cgroup has now; undefined when that is not known. */
  readonly limitsInForce: SandboxStepLimits | undefined;
}

/** One process of a run, from its limits to its verdict. */
export class StepRun {
  readonly output: StepOutput;
  private readonly over = Promise.withResolvers<undefined>();
  private readonly resumed: boolean;
  private startedAtMs: number | undefined;
  private base = { cpuUs: 0, oomKills: 0 };
  private exit: Exit | null;
  private interruption: Interruption | undefined;
  private timedOut = false;
  private failure: Error | undefined;
  private killing = false;
  private startTold = false;
  private memoryRefused = false;
  private readonly anchor: { readonly wallMs: number; readonly monotonicMs: number };
  private stopWatch: () => void = () => undefined;

  constructor(
    readonly plan: PlannedStep,
    private readonly context: StepContext,
    progress?: StepProgress,
  ) {
    this.resumed = progress !== undefined;
    this.anchor = { wallMs: context.clock.now(), monotonicMs: context.clock.monotonicMs() };
    this.output = new StepOutput(plan.limits.outputBytes, progress?.output);
    this.startedAtMs = progress?.startedAtMs;
    this.exit = progress?.exit ?? null;
    if (progress !== undefined) this.base = { cpuUs: progress.cpuBaseUs, oomKills: progress.oomBase };
    if (this.exit !== null) this.over.resolve(undefined);
    void context.gone.then(() => {
      this.over.resolve(undefined);
    });
  }

  /** Undefined before execve: there is nothing that must not be done twice. */
  get progress(): StepProgress | null {
    if (this.startedAtMs === undefined) return null;
    const { output, startedAtMs, base, exit } = this;
    return { name: this.plan.name, startedAtMs, cpuBaseUs: base.cpuUs, oomBase: base.oomKills, output: output.state, exit };
  }

  /** Starts the process, or takes it up where an earlier life of the worker left it. Problems show in `end`. */
  async begin(): Promise<void> {
    try {
      if (this.resumed) this.watch((await this.context.sandbox.usage()).cpuTimeUs);
      else await this.start();
      if (this.output.exceeded) this.kill();
    } catch (error) {
      this.failure = asError(error);
      const exitCode = this.interruption === undefined ? shellExitCode(this.failure) : undefined;
      if (exitCode !== undefined) {
        this.startedAtMs = this.now();
        this.exit = { exitCode, signal: null, timeMs: this.startedAtMs };
      }
      this.over.resolve(undefined);
    }
  }

  /** A command that does not exist is the program's failure, told as a shell tells it: a line on stderr and 127, or 126 when it cannot be executed. */
  get startMessage(): string | undefined {
    if (this.failure === undefined || this.exit === null) return undefined;
    return `sandbar: cannot start ${this.plan.argv[0] ?? ''}: ${this.failure.message}\n`;
  }

  /** @returns the bytes that are to be logged now */
  onOutput(stream: StreamName, data: Buffer): Buffer {
    const bytes = this.output.accept(stream, data);
    if (this.output.exceeded) this.kill();
    return bytes;
  }

  onStarted(event: AgentEvent): void {
    // Once: who could say it again could shorten the time that is reported.
    if (!this.resumed && !this.startTold) this.startedAtMs = this.believe(event.timeUs, Math.min(this.context.sandbox.createdAt, this.now()));
    this.startTold = true;
  }

  onExit(event: Extract<AgentEvent, { type: 'exit' }>): void {
    const { exitCode, signal } = event.exit;
    this.startedAtMs ??= this.context.sandbox.createdAt;
    this.exit ??= { exitCode, signal, timeMs: this.believe(event.timeUs, this.startedAtMs) };
    this.over.resolve(undefined);
  }

  interrupt(why: Interruption): void {
    if (this.interruption !== 'cancelled') this.interruption = why;
    this.kill();
  }

  /** Resolves when nothing of the step runs any more. */
  async end(): Promise<StepEnd> {
    await this.over.promise;
    this.stopWatch();
    // A descendant that stayed in the background must not outlive its step.
    const clean = await this.killAll();
    const usage = await this.context.sandbox.usage().catch(() => undefined);
    if (this.failure !== undefined && this.startedAtMs === undefined) return this.notStarted(this.failure, usage);
    const summary = this.summarise(usage);
    const { limits } = this.plan;
    const verdict = stepVerdict({
      cancelled: this.interruption === 'cancelled',
      shutDown: this.interruption === 'shut_down',
      outputExceeded: this.output.exceeded,
      oomKilled: this.oomKilled(usage),
      timedOut: this.timedOut || summary.cpuTimeMs > limits.cpuTimeMs || summary.wallTimeMs > limits.wallTimeMs,
      exit: this.exit ?? undefined,
    });
    // The next step would share the sandbox with what could not be killed.
    const state = verdict === 'succeeded' && !clean && this.plan.name === 'compile' ? 'internal_error' : verdict;
    return { state, summary, error: await this.explain(state) };
  }

  private async start(): Promise<void> {
    const { sandbox, agent } = this.context;
    const { plan } = this;
    const wanted = sandboxLimits(plan.limits);
    // Writing a memory limit makes cgroup v1 wait for all CPUs (8 ms at times): not when it is so already.
    if (!sameLimits(wanted, this.context.limitsInForce)) await this.limit(wanted);
    const [usage] = await Promise.all([sandbox.usage(), sandbox.resetMemoryPeak()]);
    const { earlierCpuUs } = this.context;
    this.base = earlierCpuUs === undefined ? { cpuUs: usage.cpuTimeUs, oomKills: usage.oomKills } : { cpuUs: earlierCpuUs, oomKills: 0 };
    await this.inTime(
      agent.start({
        id: plan.processId,
        argv: plan.argv,
        env: plan.env,
        cwd: WORK_DIR,
        uid: plan.uid,
        gid: plan.uid === 0 ? 0 : RUNNER,
        rlimits: { nofile: plan.limits.openFiles },
        stdio: { kind: 'pipes', stdin: plan.stdin },
      }),
    );
    this.startedAtMs ??= this.now();
    this.watch(usage.cpuTimeUs);
  }

  /** @throws CodedError `failed_precondition`: what the step finds in memory is more than it may have */
  private async limit(wanted: SandboxStepLimits): Promise<void> {
    const { sandbox } = this.context;
    for (let attempt = 0; ; attempt += 1) {
      try {
        await sandbox.updateLimits(wanted);
        return;
      } catch (error) {
        if (!isCodedError(error, 'failed_precondition')) throw error;
        // Processes that the step before left behind are killed but may not have given their memory back yet.
        if (attempt < LIMIT_PAUSES_MS.length) await sleep(LIMIT_PAUSES_MS[attempt]);
        else {
          this.memoryRefused = true;
          throw error;
        }
      }
    }
  }

  private watch(cpuNowUs: number): void {
    if (this.exit !== null) return;
    const { limits } = this.plan;
    const startedAtMs = this.startedAtMs ?? this.now();
    this.stopWatch = watchStep({
      // A wall clock that was set back between two lives of the worker gives nobody more than the whole time.
      wallLeftMs: Math.min(limits.wallTimeMs, startedAtMs + limits.wallTimeMs - this.now()),
      cpuNowUs,
      cpuDeadlineUs: this.base.cpuUs + limits.cpuTimeMs * 1000,
      cpuMillis: limits.cpuMillis,
      oomBase: this.base.oomKills,
      usage: () => this.context.sandbox.usage(),
      onExceeded: (what) => {
        this.timedOut = what !== 'memory';
        this.kill();
      },
    });
  }

  /** Wall-clock time that runs as the monotonic clock does from the step's creation on: setting the machine's clock neither ends nor prolongs a step. */
  private now(): number {
    return this.anchor.wallMs + this.context.clock.monotonicMs() - this.anchor.monotonicMs;
  }

  /**
   * The agent's clock is the host's, but it may have been set meanwhile, and the agent's words are the guest's. A time that cannot be is
   * replaced by that of the event's arrival.
   */
  private believe(timeUs: number, notBeforeMs: number): number {
    const nowMs = Math.max(this.now(), notBeforeMs);
    const timeMs = timeUs / 1000;
    return timeMs >= notBeforeMs && timeMs <= nowMs ? timeMs : nowMs;
  }

  private kill(): void {
    if (this.killing) return;
    this.killing = true;
    void this.killAll();
    setTimeout(() => {
      this.over.resolve(undefined);
    }, KILL_GRACE_MS).unref();
  }

  /** False when the agent did not say that all are dead. */
  private async killAll(): Promise<boolean> {
    const { agent, gone, logger } = this.context;
    const quit = new AbortController();
    const killed = agent.killAll().then(
      () => true,
      (error: unknown) => {
        logger.debug({ err: asError(error) }, 'kill-all');
        return false;
      },
    );
    const late = sleep(KILL_GRACE_MS, false, { signal: quit.signal }).catch(() => false);
    const result = await Promise.race([killed, late, gone.then(() => false)]);
    quit.abort();
    return result;
  }

  private async inTime(started: Promise<void>): Promise<void> {
    const quit = new AbortController();
    const late = sleep(START_TIMEOUT_MS, undefined, { signal: quit.signal }).then(
      () => Promise.reject(new CodedError('deadline_exceeded', 'the program could not be started in time')),
      () => undefined,
    );
    const lost = this.context.gone.then((why) => Promise.reject(why ?? new CodedError('unavailable', 'the guest agent is gone')));
    lost.catch(() => undefined);
    // Killed, or said to have ended: an answer that still comes changes nothing.
    const over = this.over.promise;
    try {
      await Promise.race([started, late, lost, over]);
    } finally {
      quit.abort();
      started.catch(() => undefined);
    }
  }

  private summarise(usage: CgroupUsage | undefined): StepSummary {
    const { stdout, stderr } = this.output.state.truncated;
    const endMs = this.exit?.timeMs ?? this.now();
    const signal = this.exit === null ? constants.signals.SIGKILL : this.exit.signal;
    return {
      exitCode: this.exit?.exitCode ?? null,
      signal: signal === null ? null : (SIGNAL_NAMES.get(signal) ?? `SIG${signal}`),
      stdoutTruncated: stdout,
      stderrTruncated: stderr,
      wallTimeMs: round(Math.max(0, endMs - (this.startedAtMs ?? endMs))),
      cpuTimeMs: round(Math.max(0, (usage?.cpuTimeUs ?? 0) - this.base.cpuUs) / 1000),
      memoryPeakBytes: usage?.memoryPeakBytes ?? 0,
    };
  }

  private oomKilled(usage: CgroupUsage | undefined): boolean {
    return usage !== undefined && usage.oomKills > this.base.oomKills;
  }

  private notStarted(failure: Error, usage: CgroupUsage | undefined): StepEnd {
    const ended = { summary: null, error: null };
    if (this.interruption === 'cancelled') return { state: 'cancelled', ...ended };
    if (this.interruption === 'shut_down') return { state: 'lost', summary: null, error: SHUT_DOWN };
    if (this.memoryRefused || this.oomKilled(usage)) return { state: 'memory_exceeded', ...ended };
    return { state: 'internal_error', summary: null, error: errorOf(failure) };
  }

  private async explain(state: FinalRunState): Promise<RunOutcome['error']> {
    if (state === 'lost') return SHUT_DOWN;
    if (state !== 'internal_error') return null;
    if (this.failure !== undefined) this.context.logger.error({ err: this.failure }, 'a step could not be carried out');
    if (this.failure !== undefined) return errorOf(this.failure);
    const why = await Promise.race([this.context.gone, Promise.resolve(undefined)]);
    return errorOf(why ?? new CodedError('unavailable', "the sandbox's agent is gone"));
  }
}

/** What a step needs its sandbox to have. The agent itself is one process of it. */
export function sandboxLimits({ memoryBytes, pids, cpuMillis }: StepLimits): SandboxStepLimits {
  return { memoryBytes, pids: pids + 1, cpuMillis };
}

function sameLimits(one: SandboxStepLimits, other: SandboxStepLimits | undefined): boolean {
  return one.memoryBytes === other?.memoryBytes && one.pids === other.pids && one.cpuMillis === other.cpuMillis;
}

function shellExitCode(failure: Error): 126 | 127 | undefined {
  if (!isCodedError(failure)) return undefined;
  if (failure.code === 'not_found') return 127;
  return failure.code === 'permission_denied' || failure.code === 'invalid_argument' || failure.code === 'resource_exhausted' ? 126 : undefined;
}

/** What a tenant is told. Unforeseen errors, and the OCI runtime's own words, name paths of the node: they are for its log. */
export function errorOf(error: unknown): NonNullable<RunOutcome['error']> {
  return isCodedError(error) && error.code !== 'internal' ? { code: error.code, message: error.message } : { code: 'internal', message: 'the node could not carry out the run' };
}

function round(milliseconds: number): number {
  return Math.round(milliseconds * 1000) / 1000;
}
