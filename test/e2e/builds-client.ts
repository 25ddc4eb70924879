import { gzipSync } from 'node:zlib';
import type { BuildFrame, BuildView } from '#contracts';
import { writeTar } from '#engine';
import type { Platform } from '#testing';
import { ApiClient } from './api-client.js';

/** Builds over plain REST, so that a test sees exactly what the wire holds. */
export class BuildsClient {
  readonly api: ApiClient;

  constructor(
    private readonly platform: Platform,
    key: string,
  ) {
    this.api = new ApiClient(platform.url, key);
  }

  /** The context is sent as a gzip'd tar. */
  async submitTar(files: Readonly<Record<string, string>>, query = '', headers: Record<string, string> = {}): Promise<BuildView> {
    const answer = await this.api.call<BuildView>('POST', `/v1/builds${query}`, gzipSync(await tarOf(files)), { 'content-type': 'application/x-tar', ...headers });
    if (answer.status !== 202) throw new Error(`POST /v1/builds answered ${String(answer.status)}: ${JSON.stringify(answer.body)}`);
    return answer.body;
  }

  async submit(request: object, headers: Record<string, string> = {}): Promise<BuildView> {
    const { status, body } = await this.api.call<BuildView>('POST', '/v1/builds', request, headers);
    if (status !== 202) throw new Error(`POST /v1/builds answered ${String(status)}: ${JSON.stringify(body)}`);
    return body;
  }

  async get(id: string): Promise<BuildView> {
    return (await this.api.call<BuildView>('GET', `/v1/builds/${id}`)).body;
  }

  async until(id: string, accept: (build: BuildView) => boolean, timeoutMs = 60_000): Promise<BuildView> {
    const deadline = Date.now() + timeoutMs;
    for (;;) {
      const build = await this.get(id);
      if (accept(build)) return build;
      if (Date.now() > deadline) throw new Error(`build ${id} is still ${build.state}: ${JSON.stringify(build)}`);
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }

  over(id: string): Promise<BuildView> {
    return this.until(id, ({ finishedAt }) => finishedAt !== null);
  }

  /** All frames, to the end frame; or those that are there. */
  async log(id: string, after = 0, follow = true): Promise<BuildFrame[]> {
    const answer = await fetch(`${this.platform.url}/v1/builds/${id}/logs?after=${after}&follow=${follow}`, { headers: this.api.authorization });
    if (answer.status !== 200) throw new Error(`the log answered ${String(answer.status)}`);
    return (await answer.text())
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => JSON.parse(line) as BuildFrame);
  }
}

/** What was printed, whatever the frames. */
export function outputOf(frames: readonly BuildFrame[], attempt?: number): string {
  return frames.map((frame) => (frame.type === 'output' && (attempt === undefined || frame.attempt === attempt) ? frame.data : '')).join('');
}

export async function tarOf(files: Readonly<Record<string, string>>): Promise<Buffer> {
  const entries = Object.entries(files).map(([path, text]) => ({ path, type: 'file' as const, mode: 0o644, uid: 0, gid: 0, mtimeNs: 0n, size: Buffer.byteLength(text), content: [Buffer.from(text)] }));
  const chunks: Buffer[] = [];
  for await (const chunk of writeTar(entries)) chunks.push(chunk);
  return Buffer.concat(chunks);
}
