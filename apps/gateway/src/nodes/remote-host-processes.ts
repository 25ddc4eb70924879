import { z } from 'zod';
import { execViewSchema, TUNNEL_EXEC_HEADER, TUNNEL_TTY_HEADER, type CreateExecBody, type ExecStdinBody, type ExecView, type TerminalSizeBody } from '#contracts';
import type { AttachExecRequest, AttachRequest, ExecName, HostProcesses, ProcessConnection } from './host-processes.js';
import { checked, type HostRpc, type Query } from './host-rpc.js';
import { failureIn } from './node-connection.js';
import { oneValue } from './node-streams.js';

const created = z.object({ id: z.string() });
const done = z.unknown();

export class RemoteHostProcesses implements HostProcesses {
  constructor(private readonly rpc: HostRpc) {}

  attach = (ref: string, request: AttachRequest, signal: AbortSignal): Promise<ProcessConnection> => this.open('/container/attach', { ref, ...streams(request) }, signal);
  resize = async (ref: string, size: TerminalSizeBody): Promise<void> => {
    await this.rpc.json('POST', '/container/resize', { ref }, done, { body: { json: size } });
  };
  createExec = (ref: string, request: CreateExecBody): Promise<{ readonly id: string }> => this.rpc.json('POST', '/container/execs', { ref }, created, { body: { json: request } });

  async runExec(ref: string, exec: CreateExecBody, { size, ...request }: AttachRequest & Pick<AttachExecRequest, 'size'>, signal: AbortSignal): Promise<ProcessConnection & { readonly id: string }> {
    const { socket, header } = await this.rpc.upgrade('/container/exec', { ref, ...streams(request), start: true, ...size }, signal, exec);
    return { socket, tty: header(TUNNEL_TTY_HEADER) === '1', id: header(TUNNEL_EXEC_HEADER) ?? '' };
  }

  exec = ({ id, ref }: ExecName): Promise<ExecView> => this.rpc.json('GET', '/exec', { id, ref }, execViewSchema);
  execs = (ref: string): Promise<ExecView[]> => this.rpc.json('GET', '/container/execs', { ref }, z.array(execViewSchema));
  startExec = (name: ExecName): Promise<void> => this.post('start', name, {});

  attachExec(name: ExecName, request: AttachExecRequest, signal: AbortSignal): Promise<ProcessConnection> {
    const { start, size, asCreated } = request;
    return this.open('/exec/attach', { ...name, ...streams(request), start, asCreated, ...size }, signal);
  }

  resizeExec = (name: ExecName, size: TerminalSizeBody): Promise<void> => this.post('resize', name, size);
  signalExec = (name: ExecName, signal: string): Promise<void> => this.post('signal', name, { signal });
  writeExec = async (name: ExecName, stdin: ExecStdinBody, signal: AbortSignal): Promise<void> => {
    await this.rpc.json('POST', '/exec/stdin', { ...name }, done, { body: { json: stdin }, signal });
  };

  async waitExec(name: ExecName, signal: AbortSignal): Promise<ExecView> {
    const value = await oneValue(await this.rpc.stream('GET', '/exec/wait', { ...name }, { signal }));
    const failure = failureIn(value);
    if (failure !== undefined) throw failure;
    return checked(execViewSchema, value);
  }

  connect = (ref: string, port: number, signal: AbortSignal): Promise<ProcessConnection> => this.open('/container/port', { ref, port }, signal);

  private async post(verb: string, name: ExecName, body: object): Promise<void> {
    await this.rpc.json('POST', `/exec/${verb}`, { ...name }, done, { body: { json: body } });
  }

  private async open(path: string, query: Query, signal: AbortSignal): Promise<ProcessConnection> {
    const { socket, header } = await this.rpc.upgrade(path, query, signal);
    return { socket, tty: header(TUNNEL_TTY_HEADER) === '1' };
  }
}

function streams({ format, stdin, stdout, stderr, logs, follow, after, detachKeys }: AttachRequest): Query {
  return { format, stdin, stdout, stderr, logs, follow, after, detachKeys: detachKeys?.toString('base64url') };
}
