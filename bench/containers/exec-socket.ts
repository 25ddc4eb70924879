import WebSocket from 'ws';
import type { SandbarInstance } from '../sandbar-instance.ts';
import { bareUpgradeMs } from './bare-upgrade.ts';

/** What is run, as the query of the route says it. */
export const EXEC_FORMS = {
  /** One word is a line for `/bin/sh -c`; with a terminal. */
  shell: 'command=true',
  /** Several words are a program and its arguments; pipes. */
  program: 'command=true&command=-&tty=false',
} as const;
export type ExecForm = keyof typeof EXEC_FORMS;

/** Runs `true` in a sandbox over one WebSocket: created, started, attached to and followed to its end. */
export class ExecSocket {
  readonly #instance: SandbarInstance;
  readonly #sandbox: string;

  constructor(instance: SandbarInstance, sandbox: string) {
    this.#instance = instance;
    this.#sandbox = sandbox;
  }

  /** As a program has it that uses the library `ws`: to connect is a part of it. @throws Error when it does not end with 0 */
  run(form: ExecForm): Promise<void> {
    const socket = new WebSocket(this.#instance.socketUrl(this.#path(form)), { headers: this.#instance.headers, perMessageDeflate: false });
    return new Promise((resolve, reject) => {
      socket.on('error', reject).on('close', (code, reason) => {
        reject(new Error(`the connection was closed: ${String(code)} ${reason.toString()}`));
      });
      socket.on('message', (data: Buffer, isBinary) => {
        if (isBinary) return;
        const frame = JSON.parse(data.toString()) as { type: string; exitCode?: number };
        if (frame.type !== 'exit') return;
        if (frame.exitCode === 0) resolve();
        else reject(new Error(`it ended with ${String(frame.exitCode)}`));
        socket.close();
      });
    });
  }

  /** Inside the platform, as `bareUpgradeMs` has it: to the exit frame. */
  bareMs(form: ExecForm): Promise<number> {
    return bareUpgradeMs(this.#instance, this.#path(form), '"type":"exit","exitCode":0');
  }

  /** The least that any upgrade takes: one that the gateway refuses at once, because no route has that path. */
  refusedMs(): Promise<number> {
    return bareUpgradeMs(this.#instance, '/v1/no-such-route', 'HTTP/1.1 404');
  }

  #path(form: ExecForm): string {
    return `/v1/sandboxes/${this.#sandbox}/terminal?${EXEC_FORMS[form]}`;
  }
}
