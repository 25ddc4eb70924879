import { Inject, Injectable } from '@nestjs/common';
import { inputFrame, type CreateSandboxExec, type ProcessExit, type SandboxExecResult, type SandboxExecStdin, type SandboxExecView, type TerminalSizeBody } from '#contracts';
import { isCodedError } from '#kernel';
import type { TenantCaller } from '../auth/caller.js';
import type { AttachRequest, ExecName, HostProcesses, ProcessConnection } from '../nodes/host-processes.js';
import type { TenantHosts } from '../nodes/tenant-host.js';
import { TENANT_HOSTS } from '../platform/platform.js';
import { inSandboxWords } from '../sandboxes/sandbox-words.js';
import { CollectedOutput } from './collected-output.js';
import { toExecRequest } from './exec-request.js';
import type { OutputQuery } from './exec-requests.schema.js';
import { toSandboxExecView } from './exec-view.js';
import { END_OF_TRANSMISSION } from './process-socket.js';
import { outputOf, type OutputChunk } from './process-output.js';

/** Of a whole frame. */
const PIECE_BYTES = 512 * 1024;
const HEARD = { format: 'frames', stdout: true, stderr: true, logs: true, follow: true } as const;
const UNHEARD = { format: 'frames', stdout: false, stderr: false, logs: false, follow: true } as const;

type Started = ProcessConnection & { readonly id: string; /** This call has started it. */ readonly first: boolean };

/** Programs in sandboxes, beside their main ones. Nothing of them is known here; the home node is asked. An exec lives with its sandbox's run. */
@Injectable()
export class SandboxExecs {
  constructor(@Inject(TENANT_HOSTS) private readonly hosts: TenantHosts) {}

  /**
   * Made and started. With `waitMs`: its result, or as it is after that time.
   * @throws CodedError `not_found`, `conflict` (the sandbox does not run), `invalid_argument` (the command cannot be executed)
   */
  create(caller: TenantCaller, sandbox: string, exec: CreateSandboxExec, options: { readonly key: string | undefined; readonly waitMs: number | undefined; readonly hungUp: AbortSignal }): Promise<SandboxExecView | SandboxExecResult> {
    return inSandboxWords(this.make(caller, sandbox, exec, options));
  }

  async list(caller: TenantCaller, sandbox: string): Promise<{ items: SandboxExecView[] }> {
    return { items: (await inSandboxWords(this.processes(caller).execs(sandbox))).map(toSandboxExecView) };
  }

  async get(caller: TenantCaller, name: Required<ExecName>): Promise<SandboxExecView> {
    return toSandboxExecView(await inSandboxWords(this.processes(caller).exec(name)));
  }

  /** Idempotent when it has ended. */
  async signal(caller: TenantCaller, name: Required<ExecName>, signal: string): Promise<void> {
    await inSandboxWords(this.processes(caller).signalExec(name, signal));
  }

  async resize(caller: TenantCaller, name: Required<ExecName>, size: TerminalSizeBody): Promise<void> {
    await inSandboxWords(this.processes(caller).resizeExec(name, size));
  }

  /** Resolves when the program, or the pipe before it, has taken it. @throws CodedError `failed_precondition` */
  async writeStdin(caller: TenantCaller, name: Required<ExecName>, { data, encoding, eof }: SandboxExecStdin, hungUp: AbortSignal): Promise<void> {
    await inSandboxWords(this.processes(caller).writeExec(name, { data: Buffer.from(data, encoding).toString('base64'), eof }, hungUp));
  }

  /** What was written, and what is. Checks first, so that a refusal can still be an answer. @throws CodedError `not_found`, `gone` */
  async output(caller: TenantCaller, name: Required<ExecName>, { after, follow }: OutputQuery, signal: AbortSignal): Promise<AsyncGenerator<OutputChunk | ProcessExit, void, undefined>> {
    const { socket } = await inSandboxWords(this.processes(caller).attachExec(name, { ...HEARD, stdin: false, follow, after, start: false }, signal));
    return outputOf(socket, after);
  }

  /** Both ways, with what was written before. */
  attach(caller: TenantCaller, name: Required<ExecName>, options: { readonly after: number; readonly stdin: boolean }, signal: AbortSignal): Promise<ProcessConnection> {
    return inSandboxWords(this.processes(caller).attachExec(name, { ...HEARD, ...options, start: false, detachKeys: Buffer.alloc(0) }, signal));
  }

  processes(caller: TenantCaller): HostProcesses {
    return this.hosts.of(caller.tenant).processes;
  }

  private async make(caller: TenantCaller, sandbox: string, exec: CreateSandboxExec, { key, waitMs, hungUp }: { readonly key: string | undefined; readonly waitMs: number | undefined; readonly hungUp: AbortSignal }): Promise<SandboxExecView | SandboxExecResult> {
    const processes = this.processes(caller);
    const stdin = exec.stdin !== '';
    if (waitMs === undefined) {
      // Nobody listens. The input is on its way when the answer is; what a program does not read goes with it.
      const started = await startOnce(processes, sandbox, exec, key, { ...UNHEARD, stdin }, new AbortController().signal);
      feed(started, exec);
      started.socket.end();
      started.socket.resume();
      return toSandboxExecView(await processes.exec({ id: started.id }));
    }
    const over = AbortSignal.any([hungUp, AbortSignal.timeout(waitMs)]);
    const started = await startOnce(processes, sandbox, exec, key, { ...HEARD, stdin }, hungUp);
    feed(started, exec);
    const output = await collect(started, over);
    const view = toSandboxExecView(await processes.exec({ id: started.id }));
    return output === undefined || view.state !== 'ended' ? view : { ...view, ...output.result() };
  }
}

/** Made, attached to and started; one that a call before has made by its name is only attached to, and gets no input again. */
async function startOnce(processes: HostProcesses, sandbox: string, exec: CreateSandboxExec, key: string | undefined, attachment: AttachRequest, signal: AbortSignal): Promise<Started> {
  const { columns, rows } = exec;
  const request = toExecRequest(exec, key);
  try {
    return { ...(await processes.runExec(sandbox, request, { ...attachment, ...(columns === undefined || rows === undefined ? {} : { size: { columns, rows } }) }, signal)), first: true };
  } catch (error) {
    if (request.name === undefined || !isCodedError(error, 'conflict')) throw error;
    const { id } = await processes.createExec(sandbox, request);
    if ((await processes.exec({ id })).state === 'created') throw error;
    return { ...(await processes.attachExec({ id }, { ...attachment, start: false }, signal)), id, first: false };
  }
}

function feed({ socket, tty, first }: Started, { stdin, stdinEncoding, stdinOpen }: CreateSandboxExec): void {
  const bytes = Buffer.from(stdin, stdinEncoding);
  if (!first || bytes.length === 0) return;
  for (let at = 0; at < bytes.length; at += PIECE_BYTES) socket.write(inputFrame('stdin', bytes.subarray(at, at + PIECE_BYTES)));
  if (!stdinOpen) socket.write(tty ? inputFrame('stdin', END_OF_TRANSMISSION) : inputFrame('end'));
}

/** Undefined when it took too long, or nobody waits any more. */
async function collect({ socket }: ProcessConnection, over: AbortSignal): Promise<CollectedOutput | undefined> {
  const collected = new CollectedOutput();
  const stop = (): void => {
    socket.destroy();
  };
  over.addEventListener('abort', stop, { once: true });
  try {
    for await (const frame of outputOf(socket)) if (frame.type === 'output') collected.add(frame);
    return collected;
  } catch (error) {
    if (over.aborted) return undefined;
    throw error;
  } finally {
    over.removeEventListener('abort', stop);
    stop();
  }
}
