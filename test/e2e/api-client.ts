import type { ErrorBody, RunView } from '#contracts';

/** Plain requests, so that a test sees exactly what the wire holds: the SDK has tests of its own. */
export class ApiClient {
  constructor(
    private readonly url: string,
    private readonly key?: string,
  ) {}

  withKey(key: string): ApiClient {
    return new ApiClient(this.url, key);
  }

  get authorization(): Record<string, string> {
    return this.key === undefined ? {} : { authorization: `Bearer ${this.key}` };
  }

  // The caller names what it expects of the wire: a cast with a name.
  // eslint-disable-next-line @typescript-eslint/no-unnecessary-type-parameters
  async call<T>(method: string, path: string, body?: unknown, headers: Record<string, string> = {}): Promise<{ status: number; body: T; headers: Headers }> {
    const answer = await fetch(`${this.url}${path}`, {
      method,
      headers: {
        ...this.authorization,
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        ...headers,
      },
      ...(body === undefined ? {} : { body: typeof body === 'string' || body instanceof Uint8Array ? body : JSON.stringify(body) }),
    });
    const text = await answer.text();
    return { status: answer.status, body: (text === '' ? undefined : JSON.parse(text)) as T, headers: answer.headers };
  }

  /** Runs to the end. Fails the test when the API refuses it. */
  async run(spec: object): Promise<RunView> {
    const { status, body } = await this.call<RunView>('POST', '/v1/runs?wait=true', spec);
    if (status !== 200) throw new Error(`POST /v1/runs answered ${String(status)}: ${JSON.stringify(body)}`);
    return body;
  }

  /** Starts without waiting. */
  async submit(spec: object): Promise<RunView> {
    const { status, body } = await this.call<RunView>('POST', '/v1/runs', spec);
    if (status !== 202) throw new Error(`POST /v1/runs answered ${String(status)}: ${JSON.stringify(body)}`);
    return body;
  }

  async get(id: string): Promise<RunView> {
    const { status, body } = await this.call<RunView>('GET', `/v1/runs/${id}`);
    if (status !== 200) throw new Error(`GET /v1/runs/${id} answered ${String(status)}`);
    return body;
  }

  /** Polls until `accept` holds. */
  async until(id: string, accept: (run: RunView) => boolean, timeoutMs = 15_000): Promise<RunView> {
    const deadline = Date.now() + timeoutMs;
    for (;;) {
      const run = await this.get(id);
      if (accept(run)) return run;
      if (Date.now() > deadline) throw new Error(`run ${id} is still ${run.state} after ${String(timeoutMs)} ms`);
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }

  async expectError(method: string, path: string, body?: unknown, headers?: Record<string, string>): Promise<{ status: number; error: ErrorBody['error'] }> {
    const answer = await this.call<ErrorBody>(method, path, body, headers);
    if (answer.status < 400) throw new Error(`${method} ${path} answered ${String(answer.status)}, an error was expected`);
    return { status: answer.status, error: answer.body.error };
  }
}
