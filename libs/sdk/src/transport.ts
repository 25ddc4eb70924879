import type { z } from 'zod';
import { SandbarApiError, errorOfAnswer, unreachable } from './errors.js';

export interface ClientOptions {
  /** Such as `http://127.0.0.1:8080`. */
  readonly url: string;
  readonly apiKey: string;
}

export interface Call {
  readonly method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE' | 'HEAD';
  readonly path: string;
  /** A list is the parameter several times. */
  readonly query?: Readonly<Record<string, string | number | boolean | readonly string[] | undefined>>;
  readonly body?: unknown;
  /** In the place of a JSON body: sent as they come, no faster than they are taken. */
  readonly bytes?: { readonly type: string; readonly source: Uint8Array | AsyncIterable<Uint8Array> };
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
    return (await this.answer(call, schema)).value;
  }

  /** Where the status says something, too. @throws as `call` */
  async answer<T>(call: Call, schema: z.ZodType<T>): Promise<{ status: number; value: T }> {
    const { status, text } = await this.#send(call);
    try {
      return { status, value: schema.parse(JSON.parse(text)) };
    } catch (cause) {
      throw new SandbarApiError('protocol_violation', `${this.#base.href} answered ${call.method} ${call.path} with something unknown: is it a Sandbar of this version?`, status, undefined, {}, { cause });
    }
  }

  async callForNothing(call: Call): Promise<void> {
    await this.#send(call);
  }

  /** For a WebSocket: the URL in its scheme, and the header that authenticates it. */
  socket(path: string, query: NonNullable<Call['query']>): { url: URL; headers: Record<string, string> } {
    const url = this.#urlOf(path, query);
    url.protocol = url.protocol === 'https:' ? 'wss:' : 'ws:';
    return { url, headers: this.#authorization() };
  }

  get url(): string {
    return this.#base.origin;
  }

  /** The lines of an answer, as they come and no faster than they are read. @throws SandbarApiError */
  async *lines(call: Call): AsyncGenerator<string> {
    const answer = await this.#fetch(call);
    if (!answer.ok) throw errorOfAnswer(answer.status, await this.#whole(call, answer));
    const decoder = new TextDecoder();
    let rest = '';
    try {
      for await (const chunk of (answer.body ?? []) as AsyncIterable<Uint8Array>) {
        const parts = (rest + decoder.decode(chunk, { stream: true })).split('\n');
        rest = parts.pop() ?? '';
        yield* parts;
      }
    } catch (error) {
      throw this.#failure(call, error);
    }
    if (rest !== '') throw unreachable(this.#base.origin, new Error('the answer broke off'));
  }

  /** An answer that is bytes: its headers once they are there, and the bytes, to be read once. A connection that breaks is an error, never their end. @throws SandbarApiError */
  async download(call: Call): Promise<{ headers: Headers; bytes: AsyncIterable<Uint8Array> }> {
    const answer = await this.#fetch(call);
    if (!answer.ok) throw errorOfAnswer(answer.status, await this.#whole(call, answer));
    return { headers: answer.headers, bytes: this.#bytesOf(call, answer) };
  }

  async *#bytesOf(call: Call, answer: Response): AsyncGenerator<Uint8Array> {
    try {
      yield* (answer.body ?? []) as AsyncIterable<Uint8Array>;
    } catch (error) {
      throw this.#failure(call, error);
    }
  }

  async #send(call: Call): Promise<{ status: number; text: string }> {
    const answer = await this.#fetch(call);
    const text = await this.#whole(call, answer);
    if (!answer.ok) throw errorOfAnswer(answer.status, text);
    return { status: answer.status, text };
  }

  async #fetch(call: Call): Promise<Response> {
    const { method, path, query, body, bytes, headers, signal } = call;
    try {
      return await fetch(this.#urlOf(path, query ?? {}), {
        method,
        headers: { ...this.#authorization(), ...(body === undefined ? {} : { 'content-type': 'application/json' }), ...(bytes === undefined ? {} : { 'content-type': bytes.type }), ...headers },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
        ...(bytes === undefined ? {} : { body: bytes.source instanceof Uint8Array ? bytes.source : ReadableStream.from(bytes.source), duplex: 'half' }),
        ...(signal === undefined ? {} : { signal }),
      });
    } catch (error) {
      throw this.#failure(call, error);
    }
  }

  async #whole(call: Call, answer: Response): Promise<string> {
    try {
      return await answer.text();
    } catch (error) {
      throw this.#failure(call, error);
    }
  }

  #failure({ signal }: Call, error: unknown): unknown {
    return signal?.aborted === true ? signal.reason : unreachable(this.#base.origin, error);
  }

  #authorization(): Record<string, string> {
    return { authorization: `Bearer ${this.options.apiKey}` };
  }

  #urlOf(path: string, query: NonNullable<Call['query']>): URL {
    const url = new URL(`${this.#base.pathname.replace(/\/$/, '')}${path}`, this.#base);
    for (const [name, value] of Object.entries(query)) for (const each of [value].flat()) if (each !== undefined) url.searchParams.append(name, String(each));
    return url;
  }
}
