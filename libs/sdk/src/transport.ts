import type { z } from 'zod';
import { SandbarApiError, errorOfAnswer, unreachable } from './errors.js';

export interface ClientOptions {
  /** Such as `http://127.0.0.1:8080`. */
  readonly url: string;
  readonly apiKey: string;
}

export interface Call {
  readonly method: 'GET' | 'POST' | 'PATCH' | 'DELETE';
  readonly path: string;
  readonly query?: Readonly<Record<string, string | number | boolean | undefined>>;
  readonly body?: unknown;
  readonly headers?: Readonly<Record<string, string>>;
  readonly signal?: AbortSignal | undefined;
}

/** One HTTP call: key in, checked value or SandbarApiError out. */
export class Transport {
  readonly #base: URL;

  constructor(private readonly options: ClientOptions) {
    this.#base = new URL(options.url);
  }

  /** @throws SandbarApiError; the signal's own reason when it fired */
  async call<T>(call: Call, schema: z.ZodType<T>): Promise<T> {
    const { status, text } = await this.#send(call);
    try {
      return schema.parse(JSON.parse(text));
    } catch (cause) {
      throw new SandbarApiError('protocol_violation', `${this.#base.href} answered ${call.method} ${call.path} with something unknown: is it a Sandbar of this version?`, status, undefined, {}, { cause });
    }
  }

  async callForNothing(call: Call): Promise<void> {
    await this.#send(call);
  }

  /** For a WebSocket: the URL in its scheme, and the header that authenticates it. */
  socket(path: string, query: Readonly<Record<string, string>>): { url: URL; headers: Record<string, string> } {
    const url = this.#urlOf(path, query);
    url.protocol = url.protocol === 'https:' ? 'wss:' : 'ws:';
    return { url, headers: this.#authorization() };
  }

  get url(): string {
    return this.#base.origin;
  }

  async #send({ method, path, query, body, headers, signal }: Call): Promise<{ status: number; text: string }> {
    let answer: Response;
    let text: string;
    try {
      answer = await fetch(this.#urlOf(path, query ?? {}), {
        method,
        headers: { ...this.#authorization(), ...(body === undefined ? {} : { 'content-type': 'application/json' }), ...headers },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
        ...(signal === undefined ? {} : { signal }),
      });
      text = await answer.text();
    } catch (error) {
      if (signal?.aborted === true) throw signal.reason;
      throw unreachable(this.#base.origin, error);
    }
    if (!answer.ok) throw errorOfAnswer(answer.status, text);
    return { status: answer.status, text };
  }

  #authorization(): Record<string, string> {
    return { authorization: `Bearer ${this.options.apiKey}` };
  }

  #urlOf(path: string, query: NonNullable<Call['query']>): URL {
    const url = new URL(`${this.#base.pathname.replace(/\/$/, '')}${path}`, this.#base);
    for (const [name, value] of Object.entries(query)) if (value !== undefined) url.searchParams.set(name, String(value));
    return url;
  }
}
