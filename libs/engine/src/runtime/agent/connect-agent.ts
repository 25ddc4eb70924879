import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { asError, CodedError } from '#kernel';
import type { ConnectOptions } from './agent.js';
import { AgentConnection } from './agent-connection.js';
import { ReadSlabs } from './read-slabs.js';

/**
 * Connects to the guest agent that listens on a Unix socket and takes over from whoever was connected. `timeoutMs` bounds the
 * connecting, the greeting and, anew, each later request but those to stdin.
 * @throws CodedError `unavailable` (nobody listens), `deadline_exceeded`, `failed_precondition` (events after `after` were
 *   acknowledged before), `unsupported` (another version), `protocol_violation`
 */
export async function connectAgent(options: ConnectOptions): Promise<AgentConnection> {
  const slabs = new ReadSlabs();
  /** Nothing is said before the greeting. */
  let connection: AgentConnection | undefined = undefined as AgentConnection | undefined;
  const onread = {
    buffer: () => slabs.room(),
    callback: (length: number) => {
      connection?.receive(slabs.took(length));
      return true;
    },
  };
  const socket = connect({ path: options.socketPath, onread });
  await connected(socket, options.timeoutMs);
  const made = new AgentConnection(socket, options);
  connection = made;
  try {
    await made.greet();
    return made;
  } catch (error) {
    made.close();
    throw error;
  }
}

async function connected(socket: Socket, timeoutMs: number): Promise<void> {
  const deadline = AbortSignal.timeout(timeoutMs);
  try {
    await once(socket, 'connect', { signal: deadline });
  } catch (error) {
    socket.on('error', () => undefined);
    socket.destroy();
    if (deadline.aborted) throw new CodedError('deadline_exceeded', `no connection to the guest agent within ${timeoutMs} ms`);
    throw new CodedError('unavailable', 'the guest agent cannot be reached', {}, { cause: asError(error) });
  }
}
