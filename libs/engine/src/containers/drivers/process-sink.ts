import type { AgentEvent, ProcessExit } from '../../runtime/index.js';

/** Who brings the events of a run and acknowledges them. */
export interface EventSource {
  /** Some of what waited stands in the log. */
  written(): void;
  /** The process's output is to be read no more, or again. */
  hold(held: boolean): void;
  /** False: the connection is over; who cannot write need not try on. */
  alive(): boolean;
}

export interface ProcessEnd {
  readonly type: 'exited' | 'signalled';
  /** Exit code or signal. */
  readonly value: number;
  readonly timeUs: number;
}

export function endOf({ exitCode, signal }: ProcessExit): Pick<ProcessEnd, 'type' | 'value'> {
  return signal === null ? { type: 'exited', value: exitCode ?? 0 } : { type: 'signalled', value: signal };
}

/** Where the events of one process go. */
export interface ProcessSink {
  /** A connection is there, the first or a new one. */
  connect(source: EventSource): void;
  /** One that comes again is told by its number. */
  take(event: AgentEvent, start: number): void;
  /** The agent's number of the first event that a crash could still take away; undefined: there is none. */
  readonly oldestPending: number | undefined;
  /** It has more to write than it should: who brings events waits for `settled`. */
  readonly crowded: boolean;
  settled(): Promise<void>;
  /** It has ended without the agent's word. Idempotent. */
  conclude(start: number, end: ProcessEnd): void;
}
