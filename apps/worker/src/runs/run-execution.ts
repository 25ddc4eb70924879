import type { LogFrame, RunOutcome } from '#contracts';
import type { AgentEvent, GuestAgent, Sandbox } from '#engine';
import { asError, type Clock, type Logger } from '#kernel';
import type { RunCheckpoint, StepSummary } from './run-checkpoint.js';
import type { PlannedStep, StepName } from './run-plan.js';
import type { RunRecorder } from './run-recorder.js';
import type { RunStdin } from './run-stdin.js';
import { StepOutput } from './step-output.js';
import { sandboxLimits, SHUT_DOWN, StepRun, type Interruption, type SandboxStepLimits, type StepEnd } from './step-run.js';

export interface ExecutionOptions {
  readonly sandbox: Sandbox;
  readonly agent: GuestAgent;
  readonly recorder: RunRecorder;
  readonly stdin: RunStdin;
  readonly steps: readonly PlannedStep[];
  /** Where an earlier life of the worker was, and the frames it had written. */
  readonly checkpoint: RunCheckpoint;
  readonly frames: readonly LogFrame[];
  /** Whether an earlier life of the worker began it. */
  readonly adopted: boolean;
  /** What the sandbox was made with; undefined when that is not known any more. */
  readonly limitsInForce: SandboxStepLimits | undefined;
  readonly clock: Clock;
  readonly logger: Logger;
  /** The first step's process exists. */
  readonly onStarted: () => void;
}

/** An outcome and, for the checkpoint that goes with the end frame, its parts without output. */
export interface ExecutionEnd {
  readonly outcome: RunOutcome;
  readonly checkpoint: RunCheckpoint;
}

/** Runs the steps of one run in its sandbox, one after the other, from whatever point it has reached. */
export class RunExecution {
  private readonly gone = Promise.withResolvers<Error | undefined>();
  private listening = false;
  private readonly outputs = new Map<StepName, StepOutput>();
  private agentSeq: number;
  private compile: StepSummary | null;
  private current: StepRun | undefined;
  private interruption: Interruption | undefined;
  private limitsInForce: SandboxStepLimits | undefined;
  private broken: Error | undefined;

  constructor(private readonly options: ExecutionOptions) {
    this.agentSeq = options.checkpoint.agentSeq;
    this.compile = options.checkpoint.compile;
    this.limitsInForce = options.limitsInForce;
  }

  interrupt(why: Interruption): void {
    if (this.interruption !== 'cancelled') this.interruption = why;
    this.current?.interrupt(why);
  }

  /** @throws when the log can no longer be written: the worker gives the run up */
  async execute(): Promise<ExecutionEnd> {
    let end: StepEnd = { state: 'internal_error', summary: null, error: null };
    let failedStep: StepName | null = null;
    for (const step of this.options.steps) {
      if (step.name === 'compile' && this.compile !== null) {
        this.outputs.set('compile', restoredOutput(step, this.options));
        continue;
      }
      end = await this.runStep(step);
      if (this.broken !== undefined) throw this.broken;
      if (end.state !== 'succeeded') {
        failedStep = step.name;
        if (step.name === 'compile') this.compile = end.summary;
        break;
      }
      if (step.name === 'run') break;
      this.compile = end.summary;
      this.current = undefined;
      // Before the next process exists, nothing of this step may have to be done again: its events are forgotten and it is over.
      await this.options.recorder.settle(this.snapshot());
    }
    this.options.stdin.end();
    const run = failedStep === 'compile' ? null : end.summary;
    const summaries = { state: end.state, failedStep, compile: this.compile, run, error: end.error };
    return {
      checkpoint: { agentSeq: this.agentSeq, compile: this.compile, step: null, outcome: summaries },
      outcome: { ...summaries, compile: this.withOutput('compile', this.compile), run: this.withOutput('run', run) },
    };
  }

  private async runStep(plan: PlannedStep): Promise<StepEnd> {
    const { options } = this;
    if (this.interruption !== undefined) {
      return this.interruption === 'cancelled' ? { state: 'cancelled', summary: null, error: null } : { state: 'lost', summary: null, error: SHUT_DOWN };
    }
    const progress = options.checkpoint.step?.name === plan.name ? options.checkpoint.step : undefined;
    const { sandbox, agent, clock, logger } = options;
    const step = new StepRun(plan, { sandbox, agent, gone: this.gone.promise, clock, logger, earlierCpuUs: this.earlierCpuUs(), limitsInForce: this.limitsInForce }, progress);
    this.limitsInForce = sandboxLimits(plan.limits);
    for (const frame of options.frames) if (frame.type === 'output' && frame.step === plan.name) step.output.restore(frame.stream, Buffer.from(frame.data, frame.encoding));
    this.current = step;
    this.outputs.set(plan.name, step.output);
    if (!this.listening) void this.listen().then(this.gone.resolve);
    await step.begin();
    this.interruptIfAsked(step);
    options.onStarted();
    if (step.startMessage !== undefined) this.emit(step, 'stderr', step.onOutput('stderr', Buffer.from(step.startMessage)));
    else if (plan.stdin) this.feed(step);
    const end = await step.end();
    this.emit(step, 'stdout', step.output.flush('stdout'));
    this.emit(step, 'stderr', step.output.flush('stderr'));
    return end;
  }

  /** Somebody may have asked while the process was being started. */
  private interruptIfAsked(step: StepRun): void {
    if (this.interruption !== undefined) step.interrupt(this.interruption);
  }

  /** Hands stdin over while the step runs; a program may end without reading it. */
  private feed(step: StepRun): void {
    const { stdin, agent, logger } = this.options;
    stdin.attach(agent, step.plan.processId).catch((error: unknown) => {
      logger.debug({ err: asError(error) }, 'stdin was not read to its end');
    });
  }

  /** CPU time that is not the step's own, when an earlier life of the worker may have started it: then it cannot be measured. */
  private earlierCpuUs(): number | undefined {
    return this.options.adopted ? (this.compile?.cpuTimeMs ?? 0) * 1000 : undefined;
  }

  /** Reads the agent's events until the connection is over. */
  private async listen(): Promise<Error | undefined> {
    this.listening = true;
    const { agent, recorder } = this.options;
    try {
      for await (const event of agent.events()) {
        this.agentSeq = event.seq;
        this.take(event);
        await recorder.room();
      }
    } catch (error) {
      this.broken = asError(error);
      return this.broken;
    }
    return agent.closed;
  }

  private take(event: AgentEvent): void {
    const step = this.current;
    // Of a step that is over: an honest agent says nothing after the exit.
    if (step?.plan.processId !== event.processId) return;
    switch (event.type) {
      case 'started':
        step.onStarted(event);
        this.options.recorder.note(this.snapshot());
        return;
      case 'output':
        this.emit(step, event.stream, step.onOutput(event.stream, event.data));
        return;
      case 'exit':
        step.onExit(event);
        return;
    }
  }

  private emit(step: StepRun, stream: 'stdout' | 'stderr', bytes: Buffer): void {
    this.options.recorder.output(step.plan.name, stream, bytes, this.snapshot());
  }

  private snapshot(): RunCheckpoint {
    return { agentSeq: this.agentSeq, compile: this.compile, step: this.current?.progress ?? null, outcome: null };
  }

  private withOutput(name: StepName, summary: StepSummary | null): RunOutcome['run'] {
    const output = this.outputs.get(name);
    return summary === null || output === undefined ? null : { ...summary, ...output.result() };
  }
}

function restoredOutput(step: PlannedStep, options: ExecutionOptions): StepOutput {
  const output = new StepOutput(step.limits.outputBytes);
  for (const frame of options.frames) if (frame.type === 'output' && frame.step === step.name) output.restore(frame.stream, Buffer.from(frame.data, frame.encoding));
  return output;
}
