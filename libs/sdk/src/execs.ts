import {
  sandboxExecListSchema,
  sandboxExecResultSchema,
  sandboxExecViewSchema,
  type CreateSandboxExecInput,
  type ProcessExit,
  type ProcessOutput,
  type SandboxExecResult,
  type SandboxExecView,
} from '#contracts';
import { z } from 'zod';
import { processFrameOf } from './process-frames.js';
import { ProcessSession, type AttachOptions } from './process-session.js';
import { sandboxPath } from './sandboxes.js';
import type { Transport } from './transport.js';

export interface ExecOptions {
  /** The same key again gives the same exec instead of a second one. */
  readonly idempotencyKey?: string;
  readonly signal?: AbortSignal;
}

const waitedSchema = z.union([sandboxExecResultSchema, sandboxExecViewSchema]);

/** Programs in the sandboxes of the key's tenant. Sandboxes by ID or name, execs by ID or by the one that their client chose. Each method throws SandbarApiError. */
export class ExecsApi {
  constructor(private readonly transport: Transport) {}

  /** Runs a program to its end. Of stdout and of stderr the first mebibyte is in the result. */
  async run(sandbox: string, exec: CreateSandboxExecInput, options: ExecOptions = {}): Promise<SandboxExecResult> {
    // Named, so that waiting on finds it again.
    const named = exec.id === undefined && options.idempotencyKey === undefined ? { ...exec, id: `run-${crypto.randomUUID()}` } : exec;
    for (;;) {
      const view = await this.transport.call({ method: 'POST', path: `${sandboxPath(sandbox)}/exec`, query: { wait: true }, body: named, ...callOptions(options) }, waitedSchema);
      if ('stdout' in view) return view;
    }
  }

  /** Running when it resolves. @throws SandbarApiError `invalid_argument` with details.exitCode 126 or 127: it cannot be executed */
  start(sandbox: string, exec: CreateSandboxExecInput, options: ExecOptions = {}): Promise<SandboxExecView> {
    return this.transport.call({ method: 'POST', path: `${sandboxPath(sandbox)}/exec`, body: exec, ...callOptions(options) }, sandboxExecViewSchema);
  }

  /** Started and attached to, from its first byte on. */
  async open(sandbox: string, exec: CreateSandboxExecInput, options: ExecOptions = {}): Promise<{ readonly exec: SandboxExecView; readonly session: ProcessSession }> {
    const view = await this.start(sandbox, exec, options);
    return { exec: view, session: this.attach(sandbox, view.id, options.signal === undefined ? {} : { signal: options.signal }) };
  }

  attach(sandbox: string, id: string, options: AttachOptions = {}): ProcessSession {
    return new ProcessSession(this.transport, `${execPath(sandbox, id)}/attach`, options);
  }

  /** Oldest first; those that have ended are kept for a while. */
  async list(sandbox: string): Promise<SandboxExecView[]> {
    return (await this.transport.call({ method: 'GET', path: `${sandboxPath(sandbox)}/exec` }, sandboxExecListSchema)).items;
  }

  get(sandbox: string, id: string): Promise<SandboxExecView> {
    return this.transport.call({ method: 'GET', path: execPath(sandbox, id) }, sandboxExecViewSchema);
  }

  /** To its process group. */
  async signal(sandbox: string, id: string, signal = 'SIGTERM'): Promise<void> {
    await this.transport.callForNothing({ method: 'POST', path: `${execPath(sandbox, id)}/signal`, body: { signal } });
  }

  async resize(sandbox: string, id: string, size: { readonly columns: number; readonly rows: number }): Promise<void> {
    await this.transport.callForNothing({ method: 'POST', path: `${execPath(sandbox, id)}/resize`, body: size });
  }

  async stdin(sandbox: string, id: string, chunk: { readonly data?: string; readonly encoding?: 'utf8' | 'base64'; readonly eof?: boolean }): Promise<void> {
    await this.transport.callForNothing({ method: 'POST', path: `${execPath(sandbox, id)}/stdin`, body: chunk });
  }

  /** What it has written; with `follow` also what it writes, to its end, where the last frame says how it ended. */
  async *output(sandbox: string, id: string, { after = 0, follow = false, signal }: { after?: number; follow?: boolean; signal?: AbortSignal } = {}): AsyncGenerator<ProcessOutput | ProcessExit> {
    for await (const line of this.transport.lines({ method: 'GET', path: `${execPath(sandbox, id)}/output`, query: { after, follow }, signal })) yield processFrameOf(line);
  }
}

function callOptions({ idempotencyKey, signal }: ExecOptions): { readonly headers: Record<string, string>; readonly signal: AbortSignal | undefined } {
  return { headers: idempotencyKey === undefined ? {} : { 'idempotency-key': idempotencyKey }, signal };
}

function execPath(sandbox: string, id: string): string {
  return `${sandboxPath(sandbox)}/exec/${encodeURIComponent(id)}`;
}
