import type { IncomingMessage } from 'node:http';
import { CodedError, StreamGarbage } from '#kernel';

/** 1 MiB of text whose every character is escaped (`\u0000`), and the rest of the object. */
const MAX_BODY_BYTES = 6 * 1024 * 1024 + 4096;
/** For the whole of a JSON body. */
const JSON_MS = 60_000;

/** Undefined when the body is empty. @throws CodedError `invalid_argument`, `payload_too_large`, `deadline_exceeded` */
export async function readJson(request: IncomingMessage): Promise<unknown> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  const deadline = Date.now() + JSON_MS;
  for await (const chunk of streamBody(request, JSON_MS)) {
    bytes += chunk.length;
    if (bytes > MAX_BODY_BYTES) throw new CodedError('payload_too_large', `a body holds at most ${MAX_BODY_BYTES} bytes`);
    if (Date.now() > deadline) throw new CodedError('deadline_exceeded', 'the body takes too long');
    chunks.push(chunk);
  }
  if (bytes === 0) return undefined;
  try {
    return JSON.parse(Buffer.concat(chunks).toString('utf8'));
  } catch {
    throw new CodedError('invalid_argument', 'the body is not JSON');
  }
}

/**
 * The bytes of a body of any length, at the reader's pace. Nothing coming for `stallMs` while it is waited for, and a sender that goes away, end it with an error.
 * A reader that stops early leaves the connection as it is: there is still an answer to send.
 */
export async function* streamBody(request: IncomingMessage, stallMs: number): AsyncGenerator<Buffer, void, undefined> {
  const iterator = request.iterator({ destroyOnReturn: false }) as AsyncIterableIterator<Buffer>;
  const garbage = new StreamGarbage();
  const patience = new Patience(stallMs);
  try {
    for (;;) {
      const step = await patience.with(iterator.next());
      if (step.done === true) return;
      yield step.value;
      garbage.passed(step.value.length);
    }
  } catch (error) {
    if (error instanceof CodedError) throw error;
    throw new CodedError('cancelled', 'the sender of the body went away', {}, { cause: error });
  } finally {
    patience.end();
  }
}

/** One timer for all that is waited for, one after the other. */
class Patience {
  private readonly timer: NodeJS.Timeout;
  private late: ((error: CodedError) => void) | undefined;

  constructor(ms: number) {
    this.timer = setTimeout(() => {
      this.late?.(new CodedError('deadline_exceeded', 'the body stalls'));
    }, ms);
  }

  with<T>(progress: Promise<T>): Promise<T> {
    this.timer.refresh();
    return new Promise<T>((resolve, reject) => {
      // Of what has settled nothing is rejected any more: who takes his time between two waits is not late.
      this.late = reject;
      progress.then(resolve, reject);
    });
  }

  end(): void {
    clearTimeout(this.timer);
  }
}
