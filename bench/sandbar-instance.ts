import { readFileSync } from 'node:fs';
import { join } from 'node:path';

interface Credentials {
  readonly url: string;
  readonly apiKey: string;
}

/** A running instance (`npm start`), found by SANDBAR_URL and SANDBAR_API_KEY or by the credentials in its data folder. */
export class SandbarInstance {
  readonly #credentials: Credentials;

  private constructor(credentials: Credentials) {
    this.#credentials = credentials;
  }

  static async find(): Promise<SandbarInstance> {
    const instance = new SandbarInstance(readCredentials());
    const ready = await fetch(`${instance.#credentials.url}/health/ready`).catch(() => undefined);
    if (ready?.status !== 200) throw new Error(`no ready instance at ${instance.#credentials.url}: start one with npm start`);
    return instance;
  }

  /** For `docker -H`. */
  get dockerHost(): string {
    return this.#credentials.url.replace(/^http:/, 'tcp:');
  }

  /** What makes Docker's client speak for the tenant. */
  get dockerEnvironment(): Readonly<Record<string, string>> {
    return { DOCKER_CUSTOM_HEADERS: `"Authorization=Bearer ${this.#credentials.apiKey}"` };
  }

  get headers(): Readonly<Record<string, string>> {
    return { authorization: `Bearer ${this.#credentials.apiKey}` };
  }

  /** Where it listens. */
  get address(): { readonly host: string; readonly port: number } {
    const { hostname, port, protocol } = new URL(this.#credentials.url);
    if (protocol !== 'http:') throw new Error(`${this.#credentials.url}: only plain HTTP can be spoken by hand`);
    return { host: hostname, port: Number(port === '' ? 80 : port) };
  }

  socketUrl(path: string): string {
    return `${this.#credentials.url.replace('http', 'ws')}${path}`;
  }

  /** Of an instance on this machine. */
  pidOf(service: 'gateway' | 'worker'): number {
    const { SANDBAR_DATA_DIR: dataDir = '/var/lib/sandbar' } = process.env;
    const status = JSON.parse(readFileSync(join(dataDir, 'run', 'status.json'), 'utf8')) as { services: Record<string, { pid: number } | undefined> };
    const pid = status.services[service]?.pid;
    if (pid === undefined) throw new Error(`${service} is not running`);
    return pid;
  }

  /** One run in a fresh sandbox, from the request to its final result. */
  async run(spec: object): Promise<{ state: string; wallTimeMs: number }> {
    const answer = await fetch(`${this.#credentials.url}/v1/runs?wait=true`, {
      method: 'POST',
      headers: { authorization: `Bearer ${this.#credentials.apiKey}`, 'content-type': 'application/json' },
      body: JSON.stringify(spec),
    });
    const text = await answer.text();
    if (answer.status !== 200) throw new Error(`POST /v1/runs: ${String(answer.status)} ${text}`);
    const run = JSON.parse(text) as { state: string; wallTimeMs: number };
    if (run.state !== 'succeeded') throw new Error(`the run ended as ${run.state}: ${text}`);
    return run;
  }
}

function readCredentials(): Credentials {
  const { SANDBAR_URL: url, SANDBAR_API_KEY: apiKey, SANDBAR_DATA_DIR: dataDir = '/var/lib/sandbar' } = process.env;
  if (url !== undefined && apiKey !== undefined) return { url, apiKey };
  return JSON.parse(readFileSync(join(dataDir, 'credentials.json'), 'utf8')) as Credentials;
}
