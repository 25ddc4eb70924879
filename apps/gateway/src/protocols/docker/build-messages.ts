import type { BuildEventView } from '#contracts';
import { isCodedError } from '#kernel';
import type { DockerMessage } from './json-lines.js';

const COMMAND_FAILED = /^The command '[^]*' returned a non-zero code: (\d{1,3})$/;
const SHORT = { from: 'sha256:'.length, to: 'sha256:'.length + 12 };

/** A build's events in the words of Docker's classic builder. */
export async function* buildMessages(events: AsyncIterable<BuildEventView>): AsyncGenerator<DockerMessage> {
  try {
    for await (const event of events) yield* messagesOf(event);
  } catch (error) {
    yield* failureOf(error);
  }
}

/** With `q` the image's ID alone; of a build that fails all that it said, and why. */
export async function* quietMessages(events: AsyncIterable<BuildEventView>): AsyncGenerator<DockerMessage> {
  const said = new KeptMessages();
  try {
    for await (const event of events) {
      for (const message of messagesOf(event)) said.add(message);
      if (event.kind === 'built') yield { stream: `${event.imageId}\n` };
    }
  } catch (error) {
    yield* said.messages;
    yield* failureOf(error);
  }
}

/** With it Docker's client ends as the command did. @throws what is no failure of a command */
function* failureOf(error: unknown): Generator<DockerMessage> {
  const code = isCodedError(error) ? COMMAND_FAILED.exec(error.message)?.[1] : undefined;
  if (!isCodedError(error) || code === undefined) throw error;
  yield { errorDetail: { code: Number(code), message: error.message }, error: error.message };
}

/** The last of what a build has said. */
class KeptMessages {
  messages: DockerMessage[] = [];
  private length = 0;

  add(message: DockerMessage): void {
    this.messages.push(message);
    this.length += message.stream?.length ?? 0;
    while (this.length > 1024 * 1024) this.length -= this.messages.shift()?.stream?.length ?? this.length;
  }
}

function* messagesOf(event: BuildEventView): Generator<DockerMessage> {
  switch (event.kind) {
    case 'step':
      yield { stream: `Step ${event.step}/${event.total} : ${event.text}\n` };
      return;
    case 'triggers':
      yield { stream: `# Executing ${event.count} build trigger${event.count === 1 ? '' : 's'}\n` };
      return;
    case 'pull':
      yield { status: event.progress.status, ...(event.progress.id === undefined ? {} : { id: event.progress.id, progressDetail: {} }) };
      return;
    case 'running':
      yield { stream: ` ---> Running in ${event.containerId.slice(0, 12)}\n` };
      return;
    case 'log':
      yield { stream: event.text };
      return;
    case 'removed':
      yield { stream: ` ---> Removed intermediate container ${event.containerId.slice(0, 12)}\n` };
      return;
    case 'failed':
      // Told by the error.
      return;
    case 'cached':
      yield { stream: ' ---> Using cache\n' };
      return;
    case 'done':
      yield { stream: ` ---> ${event.imageId?.slice(SHORT.from, SHORT.to) ?? ''}\n` };
      return;
    case 'warning':
      yield { stream: `[Warning] ${event.lint === undefined ? event.message : `${event.lint.rule}: ${event.message} (line ${event.lint.line})`}\n` };
      return;
    case 'built':
      yield { aux: { ID: event.imageId } };
      yield { stream: `Successfully built ${event.imageId.slice(SHORT.from, SHORT.to)}\n` };
      return;
    case 'tagged':
      yield { stream: `Successfully tagged ${event.name}\n` };
  }
}
