import type { FastifyReply } from 'fastify';
import { once } from 'node:events';

/**
 * An answer that is written as it comes. Headers go out at once: Docker's clients wait for them before they do the next thing. A reader that
 * takes nothing for `stallMs` is cut, and `signal` says to the source that nobody reads any more.
 */
export class DockerAnswer {
  private timer: NodeJS.Timeout | undefined;

  constructor(
    private readonly reply: FastifyReply,
    contentType: string,
    private readonly stallMs: number,
    private readonly signal: AbortSignal,
    status = 200,
  ) {
    reply.hijack();
    for (const [name, value] of Object.entries(reply.getHeaders())) if (value !== undefined) reply.raw.setHeader(name, value);
    reply.raw.writeHead(status, { 'content-type': contentType });
    reply.raw.flushHeaders();
    reply.raw.on('error', () => undefined);
  }

  /** Resolves when there is room for more. False: nobody reads any more. */
  async write(bytes: string | Buffer): Promise<boolean> {
    const { raw } = this.reply;
    if (this.signal.aborted || raw.destroyed) return false;
    if (raw.write(bytes)) return true;
    this.timer = setTimeout(() => raw.destroy(), this.stallMs);
    try {
      await once(raw, 'drain', { signal: this.signal });
      return true;
    } catch {
      return false;
    } finally {
      clearTimeout(this.timer);
    }
  }

  end(): void {
    this.reply.raw.end();
  }

  /** What was promised cannot be kept: the client sees a broken answer and not a short one. */
  cut(): void {
    this.reply.raw.destroy();
  }
}
