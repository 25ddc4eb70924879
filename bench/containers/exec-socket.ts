import WebSocket from 'ws';
import type { SandbarInstance } from '../sandbar-instance.ts';

/** Runs a program in a sandbox over one WebSocket: created, started, attached to and followed to its end. */
export class ExecSocket {
  readonly #instance: SandbarInstance;
  readonly #sandbox: string;

  constructor(instance: SandbarInstance, sandbox: string) {
    this.#instance = instance;
    this.#sandbox = sandbox;
  }

  /** @throws Error when it does not end with 0 */
  run(command: readonly string[]): Promise<void> {
    const query = command.map((word) => `command=${encodeURIComponent(word)}`).join('&');
    const socket = new WebSocket(this.#instance.socketUrl(`/v1/sandboxes/${this.#sandbox}/terminal?${query}`), { headers: this.#instance.headers, perMessageDeflate: false });
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
}
