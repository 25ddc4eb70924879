import { isCodedError } from '#kernel';
import type { GuestAgent, ProcessId } from '../../runtime/index.js';

/** A way to the agent that outlives a lost connection. */
export interface AgentLine {
  /** Does idempotent work, again over the next connection when one is lost in the middle. @throws CodedError `unavailable` when the run is over, or as the work does */
  talk<T>(work: (agent: GuestAgent) => Promise<T>): Promise<T>;
}

/** The standard input of one process: what many clients write, one write after the other, each byte once whatever happens to the connection. */
export class ProcessInput {
  private turns: Promise<void> = Promise.resolve();
  private offset: number | undefined;
  private closed = false;

  /** `fresh`: nothing was written yet. Else the agent is asked how much it has taken. */
  constructor(
    private readonly line: AgentLine,
    private readonly processId: ProcessId,
    { fresh }: { readonly fresh: boolean },
  ) {
    this.offset = fresh ? 0 : undefined;
  }

  /** Resolves when the agent has taken them. What nobody can read any more is dropped. */
  write(bytes: Uint8Array): Promise<void> {
    return this.inTurn(async () => {
      if (this.closed) return;
      const at = (this.offset ??= await this.line.talk((agent) => agent.writeStdin(this.processId, 0, new Uint8Array())));
      await this.line.talk((agent) => agent.writeStdin(this.processId, at, bytes));
      this.offset = at + bytes.length;
    });
  }

  /** Behind what was written. Idempotent. */
  end(): Promise<void> {
    return this.inTurn(async () => {
      if (this.closed) return;
      await this.line.talk((agent) => agent.closeStdin(this.processId));
      this.closed = true;
    });
  }

  private inTurn(work: () => Promise<void>): Promise<void> {
    const turn = this.turns.then(work).catch((error: unknown) => {
      // The end of the process, of its input, or of the run.
      if (!isCodedError(error, 'not_found') && !isCodedError(error, 'failed_precondition') && !isCodedError(error, 'unavailable')) throw error;
      this.closed = true;
    });
    this.turns = turn.catch(() => undefined);
    return turn;
  }
}
