import { EventEmitter } from 'node:events';
import type { IncomingMessage } from 'node:http';
import type { WebSocket } from 'ws';
import { RoutePattern } from '../protocols/rest/route-pattern.js';

/** An upgrade that asks for a route: what its decider sees before anything is accepted. */
export interface UpgradeRequest {
  readonly message: IncomingMessage;
  readonly parameters: Readonly<Record<string, string>>;
  readonly query: URLSearchParams;
}

/** Decides on an upgrade. What it gives goes to `connection`; what it throws becomes an HTTP answer, and no WebSocket is made. */
export type UpgradeDecider = (request: UpgradeRequest) => Promise<unknown>;

/**
 * One WebSocket route: what Nest calls a server. Emits `connection` with the socket and what the decider gave. A gateway sets its
 * decider in `afterInit`; until then every upgrade is refused.
 */
export class UpgradeRoute extends EventEmitter<{ connection: [socket: WebSocket, admitted: unknown] }> {
  readonly pattern: RoutePattern;
  readonly sockets = new Set<WebSocket>();
  /** Of one message of a client. Those of most routes have next to nothing to say. */
  maxMessageBytes = 4 * 1024;
  private decider: UpgradeDecider | undefined;

  constructor(path: string) {
    super();
    this.pattern = new RoutePattern(path);
  }

  decideWith(decider: UpgradeDecider): void {
    this.decider = decider;
  }

  async decide(request: UpgradeRequest): Promise<unknown> {
    if (this.decider === undefined) throw new Error(`nobody decides on upgrades of ${this.pattern.text}`);
    return this.decider(request);
  }
}
