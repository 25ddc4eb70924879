import { Inject, Injectable } from '@nestjs/common';
import { Socket } from 'node:net';
import { WebSocketServer } from 'ws';
import { isCodedError } from '#kernel';
import type { ProcessConnection } from '../../nodes/host-processes.js';
import { Lifecycle } from '../../platform/lifecycle.js';
import { CLIENT_GONE } from '../../streams/client-gone.js';
import { linger, splice, type SpliceResult } from '../../streams/splice.js';
import { keepAlive } from '../../streams/keep-alive.js';
import { spliceWebSocket } from '../../streams/splice-web-socket.js';
import { attachRequest, startRequest } from './attach-requests.js';
import { DOCKER_BACKENDS, type DockerBackends } from './docker-backends.js';
import { parseJsonObject } from './docker-body.js';
import { translateExecStart } from './exec-config.js';
import { readHijackBody } from './hijack-body.js';
import { answerHead, type HijackCall } from './hijack-call.js';
import type { HijackKind } from './routing.js';
import { stdcopyFrame } from './stdcopy.js';

/** Since this version a client is told by the type whether the streams are framed. */
const TYPED_STREAMS = 42;
/** The system asks so often whether a silent client is still there. */
const PROBE_MS = 30_000;
const MAX_MESSAGE_BYTES = 1024 * 1024;

/** What Docker's upgraded connections carry, from the client to the process and back. */
@Injectable()
export class HijackedStreams {
  private readonly sockets = new WebSocketServer({ noServer: true, maxPayload: MAX_MESSAGE_BYTES, perMessageDeflate: false, clientTracking: false });

  constructor(
    @Inject(DOCKER_BACKENDS) private readonly backends: DockerBackends,
    private readonly lifecycle: Lifecycle,
  ) {}

  /** Resolves when the stream is over, with figures for the log. @throws CodedError, as long as nothing was answered */
  async serve(kind: HijackKind, call: HijackCall): Promise<object> {
    const gone = new AbortController();
    const over = AbortSignal.any([gone.signal, this.lifecycle.draining]);
    const hangUp = (): void => {
      gone.abort(CLIENT_GONE);
    };
    call.socket.once('close', hangUp);
    try {
      if (kind === 'attach') return await this.attach(call, over);
      if (kind === 'exec-start') return await this.startExec(call, over);
      return await this.attachWebSocket(call, over);
    } finally {
      call.socket.off('close', hangUp);
    }
  }

  private async attach(call: HijackCall, signal: AbortSignal): Promise<SpliceResult> {
    const request = attachRequest(call.query);
    await readHijackBody(call.message, call.socket, call.head);
    const connection = await this.processes(call).attach(call.ref, { ...request, format: 'auto' }, signal);
    return this.join(call, connection, connection.tty, signal);
  }

  private async startExec(call: HijackCall, signal: AbortSignal): Promise<object> {
    const start = translateExecStart(parseJsonObject(await readHijackBody(call.message, call.socket, call.head)));
    if (start.detach) {
      await this.processes(call).startExec({ id: call.ref });
      call.socket.end(answerHead('200 OK', { 'content-length': '0', connection: 'close' }), () => {
        linger(call.socket);
      });
      return { status: 200 };
    }
    let connection: ProcessConnection;
    try {
      connection = await this.processes(call).attachExec({ id: call.ref }, startRequest(start), signal);
    } catch (error) {
      if (!isCodedError(error, 'invalid_argument') || error.details['exitCode'] === undefined) throw error;
      // Docker's client reads the failure of a start in the stream, and the exit code from the exec.
      const words = Buffer.from(`${error.message}\r\n`);
      call.socket.end(Buffer.concat([Buffer.from(upgraded(call, start.tty)), start.tty ? words : stdcopyFrame('stdout', words)]), () => {
        linger(call.socket);
      });
      return { error: error.code };
    }
    return this.join(call, connection, start.tty, signal);
  }

  private attachWebSocket(call: HijackCall, signal: AbortSignal): Promise<SpliceResult> {
    return this.processes(call)
      .attach(call.ref, { ...attachRequest(call.query), format: 'raw' }, signal)
      .then(({ socket: node }) => new Promise((resolve) => {
        this.sockets.handleUpgrade(call.message, call.socket, call.head, (accepted) => {
          keepAlive(accepted);
          void spliceWebSocket(accepted, node, { signal }).then(resolve);
        });
      }));
  }

  private join(call: HijackCall, { socket: node }: ProcessConnection, tty: boolean, signal: AbortSignal): Promise<SpliceResult> {
    const { socket } = call;
    if (socket instanceof Socket) socket.setNoDelay(true).setKeepAlive(true, PROBE_MS);
    socket.write(upgraded(call, tty));
    return splice(socket, node, { signal });
  }

  private processes({ caller }: HijackCall) {
    return this.backends.hosts.of(caller.tenant).processes;
  }
}

function upgraded({ version }: HijackCall, tty: boolean): string {
  const type = !tty && version >= TYPED_STREAMS ? 'application/vnd.docker.multiplexed-stream' : 'application/vnd.docker.raw-stream';
  return answerHead('101 UPGRADED', { 'Content-Type': type, Connection: 'Upgrade', Upgrade: 'tcp' });
}
