import { Inject, Injectable } from '@nestjs/common';
import type { FastifyReply } from 'fastify';
import { Readable } from 'node:stream';
import { Lifecycle } from '../platform/lifecycle.js';
import { SETTINGS } from '../platform/platform.js';
import type { GatewaySettings } from '../platform/settings.js';
import { hangUpSignal } from '../protocols/rest/hang-up.js';
import { jsonLines } from '../protocols/rest/json-lines.js';
import type { FrameSource } from './log-reader.js';

/** Logs over plain HTTP: the same frames as over WebSocket, one JSON object a line. An answer that ends without an end frame is not complete. */
@Injectable()
export class LogAnswers {
  constructor(
    private readonly lifecycle: Lifecycle,
    @Inject(SETTINGS) private readonly settings: GatewaySettings,
  ) {}

  async send(reply: FastifyReply, source: FrameSource): Promise<void> {
    const over = AbortSignal.any([hangUpSignal(reply), this.lifecycle.draining]);
    const cut = (): void => {
      reply.raw.destroy();
    };
    // Readable asks for the next line when the connection has room for it.
    const lines = Readable.from(jsonLines(source(over), () => setTimeout(cut, this.settings.stallMs)), { objectMode: false, highWaterMark: 256 * 1024 });
    await reply.type('application/x-ndjson').header('cache-control', 'no-store').send(lines);
  }
}
