import { CodedError, isCodedError } from '#kernel';
import type { AgentEvent, GuestAgent, ProcessId, Sandbox } from '../../runtime/index.js';
import { Acknowledgements } from './acknowledgements.js';
import type { AgentLine } from './process-input.js';
import type { EventSource, ProcessEnd, ProcessSink } from './process-sink.js';

/** The one connection to a sandbox's agent that all its processes share, and the next one when that is lost. */
export class AgentLink implements AgentLine {
  private readonly sinks = new Map<ProcessId, ProcessSink>();
  private connection: GuestAgent | undefined;
  private acknowledgements: Acknowledgements | undefined;
  private changed = Promise.withResolvers<undefined>();
  private highestId = 0;
  private over = false;

  constructor(
    private readonly sandbox: Sandbox,
    private readonly start: number,
  ) {}

  /** undefined before `connect`. */
  get agent(): GuestAgent | undefined {
    return this.connection;
  }

  /** Everything that was not acknowledged comes again. @throws CodedError when the agent cannot be reached */
  async connect(): Promise<GuestAgent> {
    const agent = await this.sandbox.connect('kept');
    this.connection = agent;
    this.acknowledgements = new Acknowledgements(agent);
    this.highestId = Math.max(this.highestId, agent.highestId);
    for (const [id, sink] of this.sinks) sink.connect(this.sourceOf(id));
    this.announceChange();
    return agent;
  }

  /** An id that no process of the sandbox has had. */
  newProcessId(): ProcessId {
    this.highestId += 1;
    return this.highestId;
  }

  /** The events of a process go there from now on, before it is started or when it is found again. */
  attach(processId: ProcessId, sink: ProcessSink): void {
    this.highestId = Math.max(this.highestId, processId);
    this.sinks.set(processId, sink);
    if (this.connection !== undefined) sink.connect(this.sourceOf(processId));
  }

  /** Its events are of no more interest. */
  detach(processId: ProcessId): void {
    this.sinks.delete(processId);
  }

  /** Resolves when more may come. */
  async take(event: AgentEvent): Promise<void> {
    const sink = this.sinks.get(event.processId);
    sink?.take(event, this.start);
    this.acknowledgements?.took(event.seq, sink);
    if (sink?.crowded === true) await sink.settled();
  }

  async talk<T>(work: (agent: GuestAgent) => Promise<T>): Promise<T> {
    for (let lost: GuestAgent | undefined; ; ) {
      const agent = await this.nextConnection(lost);
      try {
        return await work(agent);
      } catch (error) {
        if (!isCodedError(error, 'unavailable') || !(await isClosed(agent))) throw error;
        lost = agent;
      }
    }
  }

  /** When all that has come is written, or cannot be. */
  async settled(): Promise<void> {
    for (const sink of this.sinks.values()) await sink.settled();
  }

  /** Nobody talks over it any more. Idempotent. */
  close(): void {
    this.over = true;
    this.connection?.close();
    this.announceChange();
  }

  /** What has not ended by itself has ended so. */
  conclude(end: ProcessEnd): void {
    for (const sink of this.sinks.values()) sink.conclude(this.start, end);
  }

  private sourceOf(processId: ProcessId): EventSource {
    const { connection } = this;
    let lost = connection === undefined;
    void connection?.closed.then(() => { lost = true; });
    return {
      written: () => { this.acknowledgements?.tell(); },
      // A process that is gone needs none of it; on the next connection it is said again.
      hold: (held) => { connection?.holdOutput(processId, held).catch(() => undefined); },
      alive: () => !lost && !this.over,
    };
  }

  /** One that is not `lost`. */
  private async nextConnection(lost: GuestAgent | undefined): Promise<GuestAgent> {
    for (;;) {
      if (this.over) throw new CodedError('unavailable', 'the container does not run any more');
      if (this.connection !== undefined && this.connection !== lost) return this.connection;
      await this.changed.promise;
    }
  }

  private announceChange(): void {
    this.changed.resolve(undefined);
    this.changed = Promise.withResolvers();
  }
}

/** Its requests are refused before it says that it is closed. */
async function isClosed(agent: GuestAgent): Promise<boolean> {
  return Promise.race([agent.closed.then(() => true), new Promise<boolean>((resolve) => setImmediate(resolve, false))]);
}
