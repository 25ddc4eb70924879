import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import type { TenantCaller } from '../../auth/caller.js';
import type { DockerQuery } from './query.js';
import { serverHeaders } from './system-views.js';

/** One request whose connection is to become a stream. */
export interface HijackCall {
  readonly caller: TenantCaller;
  /** A container's name, or an exec's id. */
  readonly ref: string;
  readonly query: DockerQuery;
  readonly version: number;
  readonly message: IncomingMessage;
  readonly socket: Duplex;
  /** What came behind the request's headers. */
  readonly head: Buffer;
}

/** The head of an answer that is written by hand. */
export function answerHead(status: string, headers: Readonly<Record<string, string>>): string {
  const lines = Object.entries({ ...serverHeaders(), ...headers }).map(([name, value]) => `${name}: ${value}\r\n`);
  return `HTTP/1.1 ${status}\r\n${lines.join('')}\r\n`;
}
