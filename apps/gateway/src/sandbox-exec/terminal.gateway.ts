import { WebSocketGateway, type OnGatewayConnection, type OnGatewayInit } from '@nestjs/websockets';
import type { WebSocket } from 'ws';
import type { CreateExecBody } from '#contracts';
import { invalidArgument } from '../protocols/rest/validation.pipe.js';
import { inSandboxWords } from '../sandboxes/sandbox-words.js';
import { UpgradeAdmission } from '../streams/upgrade-admission.service.js';
import type { UpgradeRequest, UpgradeRoute } from '../streams/upgrade-route.js';
import { terminalQuerySchema, type TerminalQuery } from './exec-requests.schema.js';
import { goneSignal } from './gone-signal.js';
import { MAX_INPUT_BYTES } from './process-socket.js';
import { ProcessSockets, type AdmittedProcess } from './process-sockets.service.js';
import { SandboxExecs } from './sandbox-execs.service.js';

const ROUTE = '/v1/sandboxes/:id/terminal';
/** The best shell that there is. */
const SHELL = ['/bin/sh', '-c', 'command -v bash >/dev/null 2>&1 && exec bash; exec sh'];
const LISTS = new Set(['command', 'env']);

/** A program with a terminal, made, started and attached to in one call. Its id comes as the first message, `{"type":"started",…}`: who loses the connection goes on by `…/exec/<id>/attach?after=`. */
@WebSocketGateway({ path: ROUTE })
export class TerminalGateway implements OnGatewayInit<UpgradeRoute>, OnGatewayConnection<WebSocket> {
  constructor(
    private readonly execs: SandboxExecs,
    private readonly admission: UpgradeAdmission,
    private readonly sockets: ProcessSockets,
  ) {}

  afterInit(route: UpgradeRoute): void {
    route.maxMessageBytes = MAX_INPUT_BYTES;
    route.decideWith((request) => this.decide(request));
  }

  handleConnection(socket: WebSocket, ...[admitted]: unknown[]): void {
    const { id, process } = admitted as { readonly id: string; readonly process: AdmittedProcess };
    socket.send(JSON.stringify({ type: 'started', id }));
    void this.sockets.serve(socket, process);
  }

  private async decide(request: UpgradeRequest): Promise<{ readonly id: string; readonly process: AdmittedProcess }> {
    const caller = await this.admission.admit(request, 'host:write');
    const parsed = terminalQuerySchema.safeParse(parametersOf(request.query));
    if (!parsed.success) throw invalidArgument(parsed.error.issues);
    const { columns, rows, tty } = parsed.data;
    const ref = request.parameters['id'] ?? '';
    const processes = this.execs.processes(caller);
    // The control keys of Docker's clients are the program's here.
    const attachment = { format: 'frames', stdin: true, stdout: true, stderr: true, logs: false, follow: true, detachKeys: Buffer.alloc(0), ...(tty ? { size: { columns, rows } } : {}) } as const;
    const { id, ...connection } = await inSandboxWords(processes.runExec(ref, execOf(parsed.data), attachment, goneSignal(request)));
    const signal = (name: string): Promise<void> => processes.signalExec({ id }, name);
    return { id, process: this.sockets.admitted(ROUTE, caller, request, connection, { after: undefined, stdin: true, signal }) };
  }
}

function execOf({ command, env, user, workingDir, tty, timeoutMs }: TerminalQuery): CreateExecBody {
  const [line = ''] = command;
  return {
    argv: command.length === 0 ? SHELL : command.length === 1 ? ['/bin/sh', '-c', line] : command,
    env: tty && !env.some((one) => one.startsWith('TERM=')) ? ['TERM=xterm-256color', ...env] : env,
    workingDir,
    user,
    tty,
    openStdin: true,
    privileged: false,
    clientConfig: { attachStdin: true, attachStdout: true, attachStderr: true, detachKeys: '', name: '', timeoutMs: timeoutMs ?? null },
  };
}

function parametersOf(query: URLSearchParams): Record<string, string | string[]> {
  return Object.fromEntries([...new Set(query.keys())].map((name) => [name, LISTS.has(name) ? query.getAll(name) : (query.get(name) ?? '')]));
}
