import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { digestOf, newId, parseReference, type ImageReference } from '#kernel';
import { MEDIA_TYPES } from '../images/index.js';
import { HostileRegistry } from './testing/hostile-registry.contract.js';
import { sampleImage, type SampleImage } from './testing/sample-image.contract.js';
import { HandClock, transferBench, type TransferBench } from './testing/transfer-bench.contract.js';

describe('a pull', () => {
  let bench: TransferBench;
  let registry: HostileRegistry;
  let image: SampleImage;

  beforeEach(async () => {
    bench = await transferBench();
    registry = await HostileRegistry.start();
    image = await sampleImage();
    offer(image, 'latest');
  });
  afterEach(async () => {
    await registry.stop();
    await bench.cleanup();
  });

  function offer(sample: SampleImage, tag: string): void {
    for (const name of [tag, sample.digest]) registry.manifests.set(name, { bytes: sample.manifest });
    for (const { digest, bytes } of sample.layers) registry.blobs.set(digest, bytes);
    registry.blobs.set(sample.configDigest, sample.config);
  }

  const reference = (suffix = ':latest'): ImageReference => parseReference(`${registry.host}/team/app${suffix}`);
  const transfers = () => bench.transfers({ insecure: [registry.host] });

  it('brings every blob, names the image and says so like Docker', async () => {
    const result = await transfers().pull({ ...bench.request(), reference: reference() });
    expect(result).toEqual({ imageId: image.configDigest, digest: image.digest, changed: true });
    for (const { digest, bytes } of image.layers) expect((await bench.content.read(digest)).equals(bytes)).toBe(true);
    const record = await bench.images.resolve(bench.tenant, image.configDigest);
    expect(record.tags).toEqual([`${registry.host}/team/app:latest`]);
    expect(record.digests).toEqual([`${registry.host}/team/app@${image.digest}`]);
    const [first] = image.layers.map(({ digest }) => digest.slice(7, 19));
    const said = bench.said();
    expect(said[0]).toBe('latest: Pulling from team/app');
    expect(said.filter((line) => line.startsWith(`${first!}: `)).map((line) => line.split(': ')[1])).toEqual(
      ['Pulling fs layer', 'Downloading', 'Verifying Checksum', 'Download complete', 'Extracting', 'Pull complete'],
    );
    expect(said.slice(-2)).toEqual([`Digest: ${image.digest}`, `Status: Downloaded newer image for ${registry.host}/team/app:latest`]);
    expect(bench.events).toEqual([{ type: 'image', action: 'pull', id: `${registry.host}/team/app:latest` }]);
  });

  it('fetches nothing twice', async () => {
    await transfers().pull({ ...bench.request(), reference: reference() });
    bench.lines.length = 0;
    expect((await transfers().pull({ ...bench.request(), reference: reference() })).changed).toBe(false);
    expect(registry.requestsFor('/blobs/')).toHaveLength(3);
    expect(bench.said()).toEqual(['latest: Pulling from team/app', `Digest: ${image.digest}`, `Status: Image is up to date for ${registry.host}/team/app:latest`]);
  });

  it('takes nothing from another tenant, and tells nothing of it', async () => {
    const other = newId('tenant');
    await transfers().pull({ ...bench.request(), namespace: other, reference: reference() });
    bench.lines.length = 0;
    const blobs = new Map(registry.blobs);
    registry.blobs.clear();
    await expect(transfers().pull({ ...bench.request(), reference: reference() })).rejects.toMatchObject({ code: 'not_found' });
    for (const [digest, bytes] of blobs) registry.blobs.set(digest, bytes);
    await transfers().pull({ ...bench.request(), reference: reference() });
    expect(bench.said().join()).not.toContain('Already exists');
    expect(await bench.images.list(bench.tenant)).toHaveLength(1);
    const more = await sampleImage();
    const shared = { ...JSON.parse(more.manifest.toString()) as { layers: object[] }, layers: (JSON.parse(image.manifest.toString()) as { layers: object[] }).layers };
    const config = Buffer.from(image.config.toString().replace('{', '{"author":"x",'));
    const manifest = Buffer.from(JSON.stringify({ ...shared, config: { mediaType: MEDIA_TYPES.config, digest: digestOf(config), size: config.length } }));
    registry.manifests.set('more', { bytes: manifest });
    registry.blobs.set(digestOf(config), config);
    bench.lines.length = 0;
    await transfers().pull({ ...bench.request(), reference: reference(':more') });
    expect(bench.said().filter((line) => line.endsWith(': Already exists'))).toHaveLength(2);
  });

  it.each(['cut', 'changed'])('heals what is %s on disk', async (how) => {
    await transfers().pull({ ...bench.request(), reference: reference() });
    const [layer] = image.layers;
    for (const digest of [layer!.digest, image.configDigest, image.digest]) {
      const path = join(bench.root, 'content/blobs/sha256', digest.slice(7));
      const bytes = readFileSync(path);
      writeFileSync(path, how === 'cut' ? bytes.subarray(1) : bytes.fill(0, 5, 10));
    }
    // As whoever saves or pushes it.
    if (how === 'changed') await expect(bench.content.open(layer!.digest).then(async (reader) => { for await (const chunk of reader) expect(chunk).toBeDefined(); })).rejects.toMatchObject({ code: 'digest_mismatch' });
    await transfers().pull({ ...bench.request(), reference: reference() });
    for (const { digest, bytes } of [layer!, { digest: image.configDigest, bytes: image.config }, { digest: image.digest, bytes: image.manifest }]) {
      const path = join(bench.root, 'content/blobs/sha256', digest.slice(7));
      expect(readFileSync(path).equals(bytes)).toBe(true);
    }
  });

  it('fetches no layer of an image that cannot fit', async () => {
    const manifest = JSON.parse(image.manifest.toString()) as { layers: { size: number }[] };
    manifest.layers[0]!.size = 2 ** 40;
    registry.manifests.set('huge', { bytes: Buffer.from(JSON.stringify(manifest)) });
    const limited = bench.transfers({ insecure: [registry.host] }, { quotaBytesOf: () => 2 ** 30 });
    await expect(limited.pull({ ...bench.request(), reference: reference(':huge') })).rejects.toMatchObject({ code: 'quota_exceeded' });
    expect(registry.requestsFor('/blobs/')).toEqual([]);
  });

  it('gives no tag to what was asked for by digest', async () => {
    await transfers().pull({ ...bench.request(), reference: reference(`:latest@${image.digest}`) });
    const record = await bench.images.resolve(bench.tenant, image.configDigest);
    expect([record.tags, record.digests]).toEqual([[], [`${registry.host}/team/app@${image.digest}`]]);
  });

  it('leads through an index to this machine’s image, and remembers the index', async () => {
    const { os, architecture } = JSON.parse(image.config.toString()) as { os: string; architecture: string };
    const entry = { mediaType: MEDIA_TYPES.manifest, digest: image.digest, size: image.manifest.length, platform: { os, architecture } };
    const index = Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType: MEDIA_TYPES.index, manifests: [entry] }));
    registry.manifests.set('multi', { bytes: index, type: MEDIA_TYPES.index });
    expect(await transfers().pull({ ...bench.request(), reference: reference(':multi') })).toMatchObject({ imageId: image.configDigest, digest: digestOf(index) });
    const other = transfers().pull({ ...bench.request(), reference: reference(':multi'), platform: { os: 'plan9', architecture: 'mips' } });
    await expect(other).rejects.toMatchObject({ code: 'unsupported', message: 'no matching manifest for plan9/mips in the manifest list entries' });
  });

  it('does not follow indexes that lead down without end', async () => {
    let inner = Buffer.from(image.manifest);
    let type: string = MEDIA_TYPES.manifest;
    for (let depth = 0; depth < 6; depth += 1) {
      registry.manifests.set(digestOf(inner), { bytes: inner, type });
      inner = Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType: MEDIA_TYPES.index, manifests: [{ mediaType: type, digest: digestOf(inner), size: inner.length }] }));
      type = MEDIA_TYPES.index;
    }
    registry.manifests.set('deep', { bytes: inner, type });
    await expect(transfers().pull({ ...bench.request(), reference: reference(':deep') })).rejects.toMatchObject({ code: 'invalid_argument', message: expect.stringContaining('nested') });
  });

  it('goes on where a broken connection stopped, however often', async () => {
    const [layer] = image.layers;
    let left = 4;
    registry.trick = (request, response) => {
      if (!request.url!.endsWith(layer!.digest) || left === 0) return false;
      left -= 1;
      const from = Number(/=(\d+)/.exec(request.headers.range ?? '')?.[1] ?? 0);
      response.writeHead(from > 0 ? 206 : 200, { 'content-length': layer!.bytes.length - from, ...(from > 0 ? { 'content-range': `bytes ${from}-${layer!.bytes.length - 1}/${layer!.bytes.length}` } : {}) });
      response.write(layer!.bytes.subarray(from, from + 8000), () => setTimeout(() => response.destroy(), 10));
      return true;
    };
    await transfers().pull({ ...bench.request(), reference: reference() });
    expect(registry.requestsFor(layer!.digest).map(({ headers }) => headers.range)).toEqual([undefined, 'bytes=8000-', 'bytes=16000-', 'bytes=24000-', 'bytes=32000-']);
  });

  it('takes up what a killed process had, and fetches only the rest', async () => {
    const [layer] = image.layers;
    const kill = new AbortController();
    registry.trick = (request, response) => {
      if (!request.url!.endsWith(layer!.digest)) return false;
      response.writeHead(200, { 'content-length': layer!.bytes.length });
      response.write(layer!.bytes.subarray(0, 20_000), () => setTimeout(() => { kill.abort(); }, 50));
      return true;
    };
    await expect(transfers().pull({ ...bench.request(kill.signal), reference: reference() })).rejects.toMatchObject({ code: 'cancelled' });
    expect(await bench.images.list(bench.tenant)).toEqual([]);
    registry.trick = () => false;
    await transfers().pull({ ...bench.request(), reference: reference() });
    expect(registry.served.get(`/v2/team/app/blobs/${layer!.digest}`)).toBe(layer!.bytes.length - 20_000);
    expect((await bench.content.read(layer!.digest)).equals(layer!.bytes)).toBe(true);
  });

  it('fetches after a restart in the middle neither what was complete nor what was half here', async () => {
    const [half, complete] = image.layers;
    const kill = new AbortController();
    const stuck = new Promise<void>((resolve) => {
      registry.trick = (request, response) => {
        if (!request.url!.endsWith(half!.digest)) return false;
        response.writeHead(200, { 'content-length': half!.bytes.length });
        response.write(half!.bytes.subarray(0, 20_000), () => setTimeout(resolve, 100));
        return true;
      };
    });
    const before = bench.transfers({ insecure: [registry.host] }, { timing: { stallMs: 20_000 } }).pull({ ...bench.request(kill.signal), reference: reference() });
    const ended = expect(before).rejects.toMatchObject({ code: 'cancelled' });
    await stuck;
    registry.trick = () => false;
    // Nothing of the first process has been closed or told: as if it had been killed.
    const restarted = await transferBench(bench);
    expect(await restarted.images.list(bench.tenant)).toEqual([]);
    await restarted.images.collectGarbage();
    await restarted.transfers({ insecure: [registry.host] }).pull({ ...restarted.request(), reference: reference() });
    expect(registry.served.get(`/v2/team/app/blobs/${half!.digest}`)).toBe(half!.bytes.length - 20_000);
    expect(registry.served.get(`/v2/team/app/blobs/${complete!.digest}`)).toBe(complete!.bytes.length);
    expect((await restarted.content.read(complete!.digest)).equals(complete!.bytes)).toBe(true);
    kill.abort();
    await ended;
  });

  it('starts again when the kept part is of other bytes', async () => {
    const [layer] = image.layers;
    const evil = await bench.content.ingest(layer!.digest, layer!.bytes.length);
    await evil.write(Buffer.alloc(1000, 0x61));
    await evil.close();
    await transfers().pull({ ...bench.request(), reference: reference() });
    expect((await bench.content.read(layer!.digest)).equals(layer!.bytes)).toBe(true);
  });

  it('does not wait for ever for a transfer that keeps a layer to itself', async () => {
    const [layer] = image.layers;
    const slow = await bench.content.ingest(layer!.digest, layer!.bytes.length);
    await transfers().pull({ ...bench.request(), reference: reference() });
    expect((await bench.content.read(layer!.digest)).equals(layer!.bytes)).toBe(true);
    await slow.close();
  });

  it('does not take a body without an end, not even into a file of its own', async () => {
    const [layer] = image.layers;
    const slow = await bench.content.ingest(layer!.digest, layer!.bytes.length);
    let sent = 0;
    registry.trick = (request, response) => {
      if (!request.url!.endsWith(layer!.digest)) return false;
      response.writeHead(200);
      const more = (): void => {
        while (!response.destroyed && sent < 50_000_000) {
          sent += 65_536;
          if (!response.write(Buffer.alloc(65_536))) {
            response.once('drain', more);
            return;
          }
        }
        response.end();
      };
      more();
      return true;
    };
    await expect(transfers().pull({ ...bench.request(), reference: reference() })).rejects.toMatchObject({ code: 'digest_mismatch' });
    expect(sent).toBeLessThan(20_000_000);
    await slow.close();
  });

  it('copes with a server that knows no ranges', async () => {
    const [layer] = image.layers;
    let first = true;
    registry.trick = (request, response) => {
      if (!request.url!.endsWith(layer!.digest)) return false;
      response.writeHead(200);
      if (first) response.write(layer!.bytes.subarray(0, 9000), () => setTimeout(() => response.destroy(), 10));
      else response.end(layer!.bytes);
      first = false;
      return true;
    };
    await transfers().pull({ ...bench.request(), reference: reference() });
    expect(registry.requestsFor(layer!.digest)).toHaveLength(2);
  });

  it.each([416, 429, 500, 503])('tries again after %i', async (status) => {
    const [layer] = image.layers;
    let left = 2;
    registry.trick = (request, response) => {
      if (!request.url!.endsWith(layer!.digest) || left === 0) return false;
      left -= 1;
      // 416 is only an answer to a range.
      if (status === 416 && left === 1) {
        response.writeHead(200, { 'content-length': layer!.bytes.length });
        response.write(layer!.bytes.subarray(0, 9000), () => setTimeout(() => response.destroy(), 10));
        return true;
      }
      response.writeHead(status, { 'retry-after': '0' }).end();
      return true;
    };
    await transfers().pull({ ...bench.request(), reference: reference() });
    expect(registry.requestsFor(layer!.digest)).toHaveLength(3);
  });

  it('waits as long as Retry-After says, but not for hours', async () => {
    let refusals = 0;
    registry.trick = (request, response) => {
      if (!request.url!.includes('/manifests/')) return false;
      refusals += 1;
      if (refusals > 1) return false;
      response.writeHead(429, { 'retry-after': '1' }).end();
      return true;
    };
    const began = Date.now();
    await transfers().pull({ ...bench.request(), reference: reference() });
    expect(Date.now() - began).toBeGreaterThan(950);
    registry.trick = (_request, response) => {
      response.writeHead(429, { 'retry-after': '7200' }).end(JSON.stringify({ errors: [{ code: 'TOOMANYREQUESTS', message: 'You have reached your pull rate limit.\u001b[2J' }] }));
      return true;
    };
    await expect(transfers().pull({ ...bench.request(), reference: reference() })).rejects.toMatchObject({ code: 'rate_limited', message: 'toomanyrequests: You have reached your pull rate limit. [2J' });
  });

  it('gives up a registry that only fails, and one that stalls', async () => {
    registry.trick = (request, response) => {
      if (!request.url!.includes('/manifests/')) return false;
      response.writeHead(502).end();
      return true;
    };
    await expect(transfers().pull({ ...bench.request(), reference: reference() })).rejects.toMatchObject({ code: 'unavailable', message: 'received unexpected HTTP status: 502 Bad Gateway' });
    registry.trick = (request, response) => {
      if (!request.url!.includes('/blobs/')) return false;
      response.writeHead(200, { 'content-length': 100 }).flushHeaders();
      return true;
    };
    await expect(transfers().pull({ ...bench.request(), reference: reference() })).rejects.toMatchObject({ code: 'unavailable', message: expect.stringContaining('stalled') });
  });

  it.each([
    ['announces more bytes than the layer has', { 'content-length': '999999999' }, Buffer.alloc(10)],
    ['sends more than the layer has', {}, Buffer.alloc(90_000, 1)],
    ['sends other bytes', {}, 'other'],
    ['sends too little, each time', {}, Buffer.alloc(0)],
  ])('refuses a registry that %s', async (_what, headers, body) => {
    const [layer] = image.layers;
    registry.trick = (request, response) => {
      if (!request.url!.endsWith(layer!.digest)) return false;
      response.writeHead(200, headers);
      response.end(body === 'other' ? Buffer.alloc(layer!.bytes.length, 7) : body);
      return true;
    };
    await expect(transfers().pull({ ...bench.request(), reference: reference() })).rejects.toMatchObject({ code: 'digest_mismatch', message: `filesystem layer verification failed for digest ${layer!.digest}` });
    expect(await bench.content.stat(layer!.digest)).toBeUndefined();
    expect(await bench.images.list(bench.tenant)).toEqual([]);
  });

  it('refuses a manifest that is not the one asked for, or not the one announced', async () => {
    registry.manifests.set(image.digest, { bytes: Buffer.concat([image.manifest, Buffer.from(' ')]) });
    const text = `manifest verification failed for digest ${image.digest}`;
    await expect(transfers().pull({ ...bench.request(), reference: reference(`@${image.digest}`) })).rejects.toMatchObject({ code: 'digest_mismatch', message: text });
    registry.manifests.set('lying', { bytes: Buffer.from('{}'), headers: { 'docker-content-digest': image.digest } });
    await expect(transfers().pull({ ...bench.request(), reference: reference(':lying') })).rejects.toMatchObject({ code: 'digest_mismatch', message: text });
  });

  it('refuses documents that are too large, retired or no images', async () => {
    registry.manifests.set('huge', { bytes: Buffer.alloc(5 * 1024 * 1024, 0x20) });
    registry.manifests.set('old', { bytes: Buffer.from('{"schemaVersion":1}'), type: 'application/vnd.docker.distribution.manifest.v1+prettyjws' });
    registry.manifests.set('none', { bytes: Buffer.from('<html>'), type: 'text/html' });
    await expect(transfers().pull({ ...bench.request(), reference: reference(':huge') })).rejects.toMatchObject({ code: 'payload_too_large' });
    await expect(transfers().pull({ ...bench.request(), reference: reference(':old') })).rejects.toMatchObject({ code: 'unsupported', message: expect.stringContaining('[DEPRECATION NOTICE]') });
    await expect(transfers().pull({ ...bench.request(), reference: reference(':none') })).rejects.toMatchObject({ code: 'invalid_argument' });
  });

  it('says like Docker what is not there', async () => {
    const name = `${registry.host}/team/app`;
    await expect(transfers().pull({ ...bench.request(), reference: reference(':nope') })).rejects.toMatchObject({ code: 'not_found', message: `manifest for ${name}:nope not found: manifest unknown: manifest unknown` });
    registry.trick = (request, response) => {
      if (!request.url!.includes('/manifests/')) return false;
      response.writeHead(403).end('{"errors":[{"code":"DENIED","message":"requested access to the resource is denied"}]}');
      return true;
    };
    const text = `pull access denied for ${name}, repository does not exist or may require 'docker login': denied: requested access to the resource is denied`;
    await expect(transfers().pull({ ...bench.request(), reference: reference() })).rejects.toMatchObject({ code: 'permission_denied', message: text });
  });

  it('follows redirects, and keeps the password for the host that asked', async () => {
    const store = await HostileRegistry.start();
    try {
      for (const { digest, bytes } of image.layers) store.blobs.set(digest, bytes);
      registry.trick = (request, response) => {
        if (request.headers.authorization === undefined) response.writeHead(401, { 'www-authenticate': 'Basic realm="r"' }).end();
        else if (request.url!.includes('/blobs/') && !request.url!.endsWith(image.configDigest)) response.writeHead(307, { location: `http://${store.host}${request.url!}` }).end();
        else return false;
        return true;
      };
      const pull = bench.transfers({ insecure: [registry.host, store.host] }).pull({ ...bench.request(), reference: reference(), auth: { username: 'u', password: 'secret' } });
      expect((await pull).imageId).toBe(image.configDigest);
      expect(store.seen).toHaveLength(2);
      expect(store.seen.every(({ headers }) => headers.authorization === undefined)).toBe(true);
    } finally {
      await store.stop();
    }
  });

  it.each([
    ['a private address', 'http://127.0.0.1:1/x', 'permission_denied'],
    ['a private address in disguise', 'http://0x7f.1:1/x', 'permission_denied'],
    ['the metadata service', 'http://169.254.169.254/latest/meta-data/', 'permission_denied'],
    ['a private IPv6 address', 'http://[::ffff:127.0.0.1]:1/x', 'permission_denied'],
    ['a name of a private address', 'http://localhost:1/x', 'permission_denied'],
    ['a file', 'file:///etc/passwd', 'protocol_violation'],
    ['itself', '', 'protocol_violation'],
  ])('does not go where a redirect leads to %s', async (_where, location, code) => {
    registry.trick = (request, response) => {
      if (!request.url!.includes('/blobs/')) return false;
      response.writeHead(302, { location: location === '' ? request.url! : location }).end();
      return true;
    };
    await expect(transfers().pull({ ...bench.request(), reference: reference() })).rejects.toMatchObject({ code });
  });

  it('asks nobody with a private address whom the operator does not trust', async () => {
    for (const host of [registry.host, `localhost:${registry.host.split(':')[1]!}`]) {
      const untrusted = bench.transfers().pull({ ...bench.request(), reference: parseReference(`${host}/team/app`) });
      await expect(untrusted).rejects.toMatchObject({ code: 'permission_denied' });
    }
    expect(registry.seen).toEqual([]);
  });

  it('sends no password to a token server at a private address, nor in plain text to a public one', async () => {
    for (const realm of ['https://10.0.0.1/token', 'http://127.0.0.1:1/token', 'ftp://x/']) {
      registry.trick = (_request, response) => {
        response.writeHead(401, { 'www-authenticate': `Bearer realm="${realm}",service="s"` }).end();
        return true;
      };
      await expect(transfers().pull({ ...bench.request(), reference: reference(), auth: { username: 'u', password: 'p' } })).rejects.toMatchObject({ code: expect.stringMatching(/permission_denied|protocol_violation/) });
    }
  });

  describe('of docker.io’s', () => {
    const busybox = parseReference('busybox:latest');
    const hubAt = (origin: string) => ({ registry: origin, search: `${origin}/v1/search` });

    async function provide(): Promise<void> {
      for (const bytes of [image.manifest, image.config, ...image.layers.map((layer) => layer.bytes)]) {
        await bench.content.write((async function* () {
          await Promise.resolve();
          yield bytes;
        })());
      }
      await bench.images.register('system', { manifest: image.digest, names: [busybox] });
    }

    it('is the node’s own when nobody is there, which is remembered for a minute', async () => {
      await provide();
      const clock = new HandClock();
      const silent = bench.transfers({ insecure: ['127.0.0.1'] }, { hub: hubAt('http://127.0.0.1:1'), clock });
      expect(await silent.pull({ ...bench.request(), reference: busybox })).toEqual({ imageId: image.configDigest, digest: image.digest, changed: true });
      expect((await bench.images.resolve(bench.tenant, 'busybox:latest')).id).toBe(image.configDigest);
      expect(bench.said().slice(-2)).toEqual([`Digest: ${image.digest}`, 'Status: Downloaded newer image for busybox:latest']);
      expect(bench.said()[0]).toBe('latest: Pulling from library/busybox');
      expect((await silent.pull({ ...bench.request(), reference: busybox })).changed).toBe(false);
      await expect(silent.pull({ ...bench.request(), reference: parseReference('nginx') })).rejects.toMatchObject({ code: 'unavailable', message: 'Get "http://127.0.0.1:1/v2/": dial tcp 127.0.0.1:1: connect: connection refused' });
    });

    it('is asked for again after a minute', async () => {
      await provide();
      const clock = new HandClock();
      const port = registry.host;
      await registry.stop();
      const client = bench.transfers({ insecure: [port] }, { hub: hubAt(`http://${port}`), clock });
      expect((await client.pull({ ...bench.request(), reference: busybox })).digest).toBe(image.digest);
      const newer = await sampleImage([100]);
      registry = await HostileRegistry.start(Number(port.split(':')[1]));
      offer(newer, 'latest');
      expect((await client.pull({ ...bench.request(), reference: busybox })).digest).toBe(image.digest);
      expect(registry.seen).toEqual([]);
      clock.time += 60_001;
      expect((await client.pull({ ...bench.request(), reference: busybox })).digest).toBe(newer.digest);
    });

    it('is not the node’s own when the registry answers that it has none', async () => {
      await provide();
      registry.manifests.clear();
      const client = bench.transfers({ insecure: [registry.host] }, { hub: hubAt(`http://${registry.host}`) });
      await expect(client.pull({ ...bench.request(), reference: busybox })).rejects.toMatchObject({ code: 'not_found' });
    });

    it('comes from a mirror, without the password for docker.io, and past a mirror that is no use', async () => {
      const client = bench.transfers({ mirrors: ['http://127.0.0.1:1', `http://${registry.host}`] }, { hub: hubAt('http://127.0.0.1:1') });
      expect((await client.pull({ ...bench.request(), reference: busybox, auth: { username: 'u', password: 'secret' } })).digest).toBe(image.digest);
      expect(registry.requestsFor('/v2/library/busybox/manifests/latest')).toHaveLength(1);
      expect(registry.seen.every(({ headers }) => headers.authorization === undefined)).toBe(true);
    });

    it('is found in the node’s catalogue', async () => {
      await provide();
      const client = bench.transfers({ insecure: ['127.0.0.1'] }, { hub: hubAt('http://127.0.0.1:1') });
      expect(await client.search('busy', 25, AbortSignal.timeout(5000))).toEqual([{ name: 'busybox', description: '', stars: 0, official: true }]);
      expect(await client.search('nothing', 25, AbortSignal.timeout(5000))).toEqual([]);
    });
  });

  it('lists tags over all pages, and none that is no tag', async () => {
    registry.trick = (request, response) => {
      if (!request.url!.includes('/tags/list')) return false;
      const isSecond = request.url!.includes('last=b');
      response.writeHead(200, isSecond ? {} : { link: '</v2/team/app/tags/list?n=2&last=b>; rel="next"' }).end(JSON.stringify({ name: 'x', tags: isSecond ? ['c'] : ['b', 'a', '../evil', 7] }));
      return true;
    };
    expect(await transfers().listTags(reference(), undefined, AbortSignal.timeout(5000))).toEqual(['a', 'b', 'c']);
  });

  it('takes no more tags than anyone can use, on however few pages', async () => {
    const tags = Array.from({ length: 100_001 }, (_, n) => n.toString(36));
    registry.trick = (request, response) => {
      if (!request.url!.includes('/tags/list')) return false;
      response.writeHead(200).end(JSON.stringify({ name: 'x', tags }));
      return true;
    };
    await expect(transfers().listTags(reference(), undefined, AbortSignal.timeout(5000))).rejects.toMatchObject({ code: 'protocol_violation', message: expect.stringContaining('more than 100000 tags') });
  });
});
