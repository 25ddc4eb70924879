import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer, request, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export const REGISTRY_USER = 'anna';
export const REGISTRY_PASSWORD = 'correct horse';

interface BlobRequest {
  readonly digest: string;
  /** Of the Range header; 0 without one. */
  readonly from: number;
  /** Bytes that went to the client. */
  bytes: number;
}

/** A registry with basic authentication on a loopback port, behind a gate that counts what is fetched and can hold a blob back. */
export class RegistryServer {
  readonly blobRequests: BlobRequest[] = [];
  private held: { bytes: number; reached: () => void } | undefined;

  private constructor(
    private readonly folder: string,
    private readonly registry: ChildProcess,
    private readonly registryPort: number,
    private readonly gate: Server,
  ) {
    gate.on('request', (message: IncomingMessage, answer: ServerResponse) => {
      this.forward(message, answer);
    });
  }

  static async start(): Promise<RegistryServer> {
    const folder = await mkdtemp(join(tmpdir(), 'registry-'));
    const gate = createServer();
    gate.listen(0, '127.0.0.1');
    await once(gate, 'listening');
    const port = await freePort();
    const passwords = spawnSync('htpasswd', ['-Bbn', REGISTRY_USER, REGISTRY_PASSWORD], { encoding: 'utf8' }).stdout;
    await writeFile(join(folder, 'htpasswd'), passwords, { mode: 0o600 });
    const config = {
      version: 0.1,
      log: { level: 'error' },
      storage: { filesystem: { rootdirectory: join(folder, 'data') } },
      http: { addr: `127.0.0.1:${port}` },
      auth: { htpasswd: { realm: 'test', path: join(folder, 'htpasswd') } },
    };
    // JSON is YAML.
    await writeFile(join(folder, 'config.yml'), JSON.stringify(config));
    const registry = spawn('docker-registry', ['serve', join(folder, 'config.yml')], { stdio: 'ignore' });
    const server = new RegistryServer(folder, registry, port, gate);
    for (let tries = 0; (await fetch(`http://127.0.0.1:${port}/v2/`).catch(() => undefined))?.status !== 401; tries += 1) {
      if (tries > 100) throw new Error('docker-registry does not answer');
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    return server;
  }

  /** `127.0.0.1:PORT`, as image names have it. */
  get host(): string {
    return `127.0.0.1:${(this.gate.address() as AddressInfo).port}`;
  }

  /** Lets only so many bytes of each blob through until `release`; resolves when one has come so far. */
  hold(bytes: number): Promise<void> {
    return new Promise((reached) => (this.held = { bytes, reached }));
  }

  release(): void {
    this.held = undefined;
    this.gate.closeAllConnections();
  }

  async stop(): Promise<void> {
    this.gate.close();
    this.gate.closeAllConnections();
    if (this.registry.exitCode === null) {
      const ended = once(this.registry, 'exit');
      this.registry.kill();
      await ended;
    }
    await rm(this.folder, { recursive: true, force: true });
  }

  private forward(message: IncomingMessage, answer: ServerResponse): void {
    const inner = request({ host: '127.0.0.1', port: this.registryPort, method: message.method, path: message.url, headers: message.headers }, (response) => {
      answer.writeHead(response.statusCode ?? 502, response.headers);
      const digest = message.method === 'GET' ? /\/blobs\/(sha256:[0-9a-f]{64})$/.exec(message.url ?? '')?.[1] : undefined;
      if (digest === undefined || (response.statusCode ?? 500) >= 300) response.pipe(answer);
      else void this.pass(response, answer, digest, Number(/bytes=(\d+)-/.exec(message.headers.range ?? '')?.[1] ?? 0));
    });
    inner.on('error', () => answer.destroy());
    answer.on('close', () => inner.destroy());
    message.pipe(inner);
  }

  private async pass(response: IncomingMessage, answer: ServerResponse, digest: string, from: number): Promise<void> {
    const seen: BlobRequest = { digest, from, bytes: 0 };
    this.blobRequests.push(seen);
    try {
      for await (const chunk of response as AsyncIterable<Buffer>) {
        const { held } = this;
        const part = held === undefined ? chunk : chunk.subarray(0, Math.max(0, held.bytes - seen.bytes));
        seen.bytes += part.length;
        if (part.length > 0 && !answer.write(part)) await Promise.race([once(answer, 'drain'), once(answer, 'close')]);
        if (part.length < chunk.length) {
          held?.reached();
          return;
        }
      }
      answer.end();
    } catch {
      answer.destroy();
    }
  }
}

async function freePort(): Promise<number> {
  const server = createServer();
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}
