import type { RuntimeState } from '#contracts';
import { asError, CodedError, isCodedError, type Logger } from '#kernel';
import type { NodeRuntimes } from './node-runtimes.js';
import type { DefinedRuntime } from './runtime-catalogue.js';

export interface RuntimeInstallsOptions {
  readonly runtimes: Pick<NodeRuntimes, 'catalogue' | 'has' | 'reload'>;
  /** Builds it, and writes down that it is there. */
  readonly install: (runtime: DefinedRuntime, report: (percent: number, message: string) => void, signal: AbortSignal) => Promise<void>;
  readonly logger: Logger;
}

type Progress = Omit<RuntimeState, 'name'>;

const MAX_MESSAGE = 4096;

/** Installations of runtimes on a node that works meanwhile: one at a time, each begun once however often it is asked for. */
export class RuntimeInstalls {
  private readonly states = new Map<string, Progress>();
  private readonly stopped = new AbortController();
  private last: Promise<void> = Promise.resolve();

  constructor(private readonly options: RuntimeInstallsOptions) {}

  /** By name or alias. Answered at once. One that failed is tried again. @throws CodedError `not_found`: no such language is defined here */
  begin(name: string): RuntimeState {
    const runtime = this.find(name);
    const { state } = this.stateOf(runtime.definition.name);
    return state === 'available' || state === 'failed' ? this.renew(runtime) : this.stateOf(runtime.definition.name);
  }

  /** Also of one that is installed: it is used as it is until the new one is there. */
  renew(runtime: DefinedRuntime): RuntimeState {
    this.set(runtime, { state: 'waiting', percent: 0, message: 'waits for its turn' });
    this.last = this.last.then(() => this.carryOut(runtime));
    return this.stateOf(runtime.definition.name);
  }

  /** By name or alias. @throws CodedError `not_found` */
  get(name: string): RuntimeState {
    return this.stateOf(this.find(name).definition.name);
  }

  /** Work that no installation may be in the middle of. */
  inTurn(work: () => Promise<void>): Promise<void> {
    const done = this.last.then(work);
    this.last = done.catch(() => undefined);
    return done;
  }

  /** Resolves when all that was begun has ended, well or not. */
  idle(): Promise<void> {
    return this.last;
  }

  /** What is under way is given up; it begins again where it stopped. */
  async stop(): Promise<void> {
    this.stopped.abort();
    await this.last;
  }

  private async carryOut(runtime: DefinedRuntime): Promise<void> {
    const { runtimes, install, logger } = this.options;
    const { name } = runtime.definition;
    if (this.stopped.signal.aborted) return;
    this.set(runtime, { state: 'installing', percent: 0, message: 'is built' });
    try {
      await install(runtime, (percent, message) => { this.set(runtime, { state: 'installing', percent, message }); }, this.stopped.signal);
      await runtimes.reload();
      this.states.delete(name);
      logger.info({ runtime: name }, 'runtimes: installed');
    } catch (error) {
      logger.warn({ runtime: name, err: asError(error) }, 'runtimes: an installation failed');
      this.set(runtime, { state: 'failed', percent: 0, message: isCodedError(error) ? error.message : 'internal error' });
    }
  }

  private find(name: string): DefinedRuntime {
    const runtime = this.options.runtimes.catalogue.find(name);
    if (runtime === undefined) throw new CodedError('not_found', `no runtime ${JSON.stringify(name.slice(0, 100))} is defined here`);
    return runtime;
  }

  private stateOf(name: string): RuntimeState {
    const known = this.states.get(name);
    if (known !== undefined) return { name, ...known };
    const installed = this.options.runtimes.has(name);
    return { name, state: installed ? 'installed' : 'available', percent: installed ? 100 : 0, message: '' };
  }

  private set({ definition }: DefinedRuntime, progress: Progress): void {
    this.states.set(definition.name, { ...progress, message: progress.message.slice(0, MAX_MESSAGE) });
  }
}
