import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { zstdCompressSync } from 'node:zlib';
import { digestOf, parseReference } from '#kernel';
import { MEDIA_TYPES } from '../images/index.js';
import { sampleImage, type SampleImage } from './testing/sample-image.contract.js';
import { transferBench, type TransferBench } from './testing/transfer-bench.contract.js';

/** Takes uploads, and breaks them as told. */
class UploadRegistry {
  readonly blobs = new Map<string, Buffer>();
  readonly uploads = new Map<string, Buffer>();
  readonly manifests = new Map<string, Buffer>();
  readonly log: string[] = [];
  /** Of the next PATCH requests: after how many bytes the connection breaks. */
  breaks: number[] = [];
  forgets = false;
  takesParts = true;
  private readonly server: Server;

  constructor() {
    this.server = createServer((request, response) => {
      this.answer(request, response).catch(() => response.destroy());
    });
  }

  async start(): Promise<this> {
    await new Promise<void>((resolve) => this.server.listen(0, '127.0.0.1', resolve));
    return this;
  }

  get host(): string {
    return `127.0.0.1:${(this.server.address() as AddressInfo).port}`;
  }

  async stop(): Promise<void> {
    this.server.closeAllConnections();
    await new Promise((resolve) => this.server.close(resolve));
  }

  /** False: refused, or the connection broke. */
  private async takePart(request: IncomingMessage, name: string): Promise<boolean> {
    if (!this.takesParts) {
      request.resume();
      return false;
    }
    const limit = this.breaks.shift() ?? Infinity;
    let got = 0;
    for await (const chunk of request as AsyncIterable<Buffer>) {
      this.uploads.set(name, Buffer.concat([this.uploads.get(name)!, chunk]));
      got += chunk.length;
      if (got < limit) continue;
      if (this.forgets) this.uploads.delete(name);
      request.socket.destroy();
      return false;
    }
    return true;
  }

  private async answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(request.url ?? '/', 'http://x');
    const name = url.pathname.split('/').at(-1) ?? '';
    this.log.push(`${request.method ?? ''} ${request.headers['content-range'] ?? ''}`.trim());
    const reply = (status: number, headers: Record<string, string> = {}): void => {
      response.writeHead(status, { 'content-length': 0, ...headers }).end();
    };
    const state = (): Record<string, string> => ({ location: `/v2/x/blobs/uploads/${name}`, range: `0-${Math.max(0, (this.uploads.get(name)?.length ?? 0) - 1)}` });
    switch (request.method) {
      case 'HEAD':
        reply(this.blobs.has(name) ? 200 : 404);
        return;
      case 'POST':
        this.uploads.set(String(this.uploads.size), Buffer.alloc(0));
        reply(202, { location: `/v2/x/blobs/uploads/${this.uploads.size - 1}` });
        return;
      case 'PATCH':
        if (await this.takePart(request, name)) reply(202, state());
        else if (!request.socket.destroyed) reply(405);
        return;
      case 'PUT': {
        const body = Buffer.concat(await (request as AsyncIterable<Buffer> & IncomingMessage).toArray());
        if (url.pathname.includes('/manifests/')) this.manifests.set(name, body);
        else {
          const whole = Buffer.concat([this.uploads.get(name) ?? Buffer.alloc(0), body]);
          if (digestOf(whole) !== url.searchParams.get('digest')) {
            reply(400);
            return;
          }
          this.blobs.set(digestOf(whole), whole);
        }
        reply(201);
        return;
      }
      case undefined:
      default:
        if (!url.pathname.includes('/uploads/')) reply(200);
        else if (this.uploads.has(name)) reply(204, state());
        else reply(404);
    }
  }
}

describe('an upload', () => {
  let bench: TransferBench;
  let registry: UploadRegistry;
  let image: SampleImage;

  beforeEach(async () => {
    bench = await transferBench();
    registry = await new UploadRegistry().start();
  });
  afterEach(async () => {
    await registry.stop();
    await bench.cleanup();
  });

  async function push(sample: SampleImage): Promise<void> {
    image = sample;
    const reference = parseReference(`${registry.host}/team/app:1`);
    for (const bytes of [image.manifest, image.config, ...image.layers.map((layer) => layer.bytes)]) {
      await bench.content.write((async function* () {
        await Promise.resolve();
        yield bytes;
      })());
    }
    await bench.images.register(bench.tenant, { manifest: image.digest, names: [reference] });
    // A busy machine may be late: only a connection that breaks is tried again.
    await bench.transfers({ insecure: [registry.host] }, { timing: { connectMs: 10_000, stallMs: 10_000, backoffMs: 5, layerWaitMs: 200 } }).push({ ...bench.request(), reference });
  }

  const zstd = (tar: Buffer) => ({ bytes: zstdCompressSync(tar), mediaType: MEDIA_TYPES.layerZstd });

  it.each([['as stored', undefined], ['as gzip', zstd]])('of a layer %s goes on where it broke', async (_how, stored) => {
    registry.breaks = [300_000, 200_000];
    await push(await sampleImage([2_000_000], stored));
    expect(registry.log.filter((line) => line.startsWith('PATCH'))).toHaveLength(4);
    // One upload for the layer, one for the config: nothing began anew.
    expect(registry.uploads.size).toBe(2);
    expect(registry.manifests.size).toBe(1);
  });

  it('begins anew when the registry has forgotten it', async () => {
    registry.breaks = [100_000];
    registry.forgets = true;
    await push(await sampleImage([500_000]));
    expect(registry.blobs.has(image.layers[0]!.digest)).toBe(true);
  });

  it.each([['known', undefined], ['not known', zstd]])('is sent whole to a registry that takes no parts, its digest %s', async (_known, stored) => {
    registry.takesParts = false;
    await push(await sampleImage([500_000], stored));
    expect(registry.blobs.size).toBe(2);
  });

  it('gives up a connection that always breaks', async () => {
    registry.breaks = Array.from({ length: 50 }, () => 1);
    registry.forgets = true;
    await expect(push(await sampleImage([500_000]))).rejects.toMatchObject({ code: 'unavailable' });
    expect(registry.manifests.size).toBe(0);
  });
});
