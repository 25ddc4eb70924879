import type { ProgressLine } from '#contracts';
import { CodedError, isErrorCode } from '#kernel';
import type { DockerCall } from './docker-call.js';
import { DockerStatusError, toDockerError } from './errors.js';

const BAR_WIDTH = 50;

/** One message of a pull's, push's, load's or import's answer. */
export interface DockerMessage {
  readonly stream?: string;
  readonly status?: string;
  readonly id?: string;
  readonly progressDetail?: { readonly current?: number; readonly total?: number };
  readonly progress?: string;
  readonly errorDetail?: { readonly code?: number; readonly message: string };
  readonly error?: string;
  readonly aux?: unknown;
}

/**
 * Answers with messages, one JSON object a line (CRLF). A failure before the first one is an answer with its own status; later ones stand in the
 * stream, which then ends: Docker's clients know both.
 */
export async function sendMessages(call: DockerCall, messages: AsyncIterable<DockerMessage>): Promise<void> {
  const iterator = messages[Symbol.asyncIterator]();
  const first = await iterator.next();
  const answer = call.answer('application/json');
  try {
    for (let next = first; next.done !== true; next = await iterator.next()) {
      if (!(await answer.write(messageLine(next.value)))) return;
    }
  } catch (error) {
    const { message } = toDockerError(error);
    await answer.write(messageLine({ errorDetail: { message }, error: message }));
  } finally {
    await iterator.return?.();
  }
  answer.end();
}

export function messageLine(message: DockerMessage): string {
  return `${JSON.stringify(message)}\r\n`;
}

/** What a progress line tells a person. @throws CodedError when it says that all failed */
export function toMessage(line: ProgressLine): DockerMessage | undefined {
  assertNoError(line);
  if (line.status === undefined) return undefined;
  const { id, status, current, total } = line;
  const detail = current === undefined ? {} : { current, ...(total === undefined ? {} : { total }) };
  return {
    status,
    ...(id === undefined && current === undefined ? {} : { progressDetail: detail }),
    ...(current === undefined ? {} : { progress: progressBar(current, total) }),
    ...(id === undefined ? {} : { id }),
  };
}

export function assertNoError(line: ProgressLine): void {
  if (line.error === undefined) return;
  const { code, message } = line.error;
  // Docker's client takes 401 for a question and asks for a password; that a registry refuses is, as with Docker's engine, the engine's failure.
  if (code === 'unauthenticated') throw new DockerStatusError(500, message);
  throw new CodedError(isErrorCode(code) ? code : 'internal', message);
}

/** `[=====>      ]  1.05MB/3.2MB`, for clients that show the text as it is. */
export function progressBar(current: number, total: number | undefined): string {
  if (total === undefined || total <= 0) return humanSize(current).padStart(8);
  const done = Math.min(BAR_WIDTH, Math.floor((Math.min(current, total) / total) * BAR_WIDTH));
  const head = done < BAR_WIDTH ? '>' : '';
  return `[${'='.repeat(done)}${head}${' '.repeat(Math.max(0, BAR_WIDTH - done - head.length))}]  ${humanSize(current)}/${humanSize(total)}`;
}

function humanSize(bytes: number): string {
  const units = ['B', 'kB', 'MB', 'GB', 'TB'];
  let size = bytes;
  let unit = 0;
  while (size >= 1000 && unit < units.length - 1) {
    size /= 1000;
    unit += 1;
  }
  return `${Number(size.toPrecision(4))}${units[unit] ?? 'B'}`;
}
