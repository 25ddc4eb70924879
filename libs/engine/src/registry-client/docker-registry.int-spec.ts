import { gunzipSync, zstdCompressSync } from 'node:zlib';
import { parseReference, type ImageReference } from '#kernel';
import { MEDIA_TYPES, parseManifest } from '../images/index.js';
import { DockerRegistry } from './testing/docker-registry.contract.js';
import { sampleImage, type SampleImage } from './testing/sample-image.contract.js';
import { TokenServer } from './testing/token-server.contract.js';
import { transferBench, type TransferBench } from './testing/transfer-bench.contract.js';

const LOGIN = { username: 'alice', password: 'correct horse: battery' };

describe.each(['nobody', 'basic', 'token'] as const)('docker-registry that asks for %s', (kind) => {
  let registry: DockerRegistry;
  let tokens: TokenServer | undefined;
  let bench: TransferBench;
  let image: SampleImage;
  const auth = kind === 'nobody' ? {} : { auth: LOGIN };

  beforeAll(async () => {
    tokens = kind === 'token' ? await TokenServer.start(LOGIN) : undefined;
    registry = await DockerRegistry.start(kind === 'basic' ? { login: LOGIN } : tokens ? { token: tokens } : {});
  });
  afterAll(async () => {
    await registry.stop();
    await tokens?.stop();
  });
  beforeEach(async () => {
    bench = await transferBench();
    image = await sampleImage([400_000, 30_000, 5000]);
  });
  afterEach(() => bench.cleanup());

  const transfers = (from = bench) => from.transfers({ insecure: [registry.host, ...(tokens ? [tokens.host] : [])] });
  const at = (path: string): ImageReference => parseReference(`${registry.host}/${path}`);

  async function have(sample: SampleImage, ...names: ImageReference[]): Promise<void> {
    for (const bytes of [sample.manifest, sample.config, ...sample.layers.map((layer) => layer.bytes)]) {
      await bench.content.write((async function* () {
        await Promise.resolve();
        yield bytes;
      })());
    }
    await bench.images.register(bench.tenant, { manifest: sample.digest, names });
  }

  async function pulledBy(path: string): Promise<{ digest: string; same: boolean }> {
    const other = await transferBench();
    try {
      const { digest, imageId } = await transfers(other).pull({ ...other.request(), ...auth, reference: at(path) });
      const { layers } = parseManifest(await other.content.read((await other.images.resolve(other.tenant, imageId)).manifest));
      const tars: Buffer[] = [];
      for (const layer of layers) tars.push(gunzipSync(await other.content.read(layer.digest)));
      return { digest, same: image.layers.every(({ bytes }, index) => tars[index]!.equals(plainOf(bytes))) };
    } finally {
      await other.cleanup();
    }
  }
  const plain = new Map<Buffer, Buffer>();
  const plainOf = (bytes: Buffer): Buffer => plain.get(bytes) ?? gunzipSync(bytes);

  it('takes an image and gives it back to the byte, under the same digest', async () => {
    await have(image, at('a/app:1'));
    const pushed = await transfers().push({ ...bench.request(), ...auth, reference: at('a/app:1') });
    expect(pushed).toEqual({ tag: '1', digest: image.digest, sizeBytes: image.manifest.length });
    expect(await pulledBy('a/app:1')).toEqual({ digest: image.digest, same: true });
    expect(bench.said()[0]).toBe(`The push refers to repository [${registry.host}/a/app]`);
    const top = image.layers[2]!.diffId.slice(7, 19);
    expect(bench.said().filter((line) => line.startsWith(top))).toEqual([`${top}: Preparing`, `${top}: Pushing`, `${top}: Pushed`]);
    expect(bench.said().at(-1)).toBe(`1: digest: ${image.digest} size: ${image.manifest.length}`);
    expect((await bench.images.resolve(bench.tenant, image.configDigest)).digests).toEqual([`${registry.host}/a/app@${image.digest}`]);
    expect(bench.events).toEqual([{ type: 'image', action: 'push', id: `${registry.host}/a/app:1` }]);
    expect(await transfers().listTags(at('a/app'), auth.auth, AbortSignal.timeout(5000))).toEqual(['1']);
  });

  it('is not sent what it has, and mounts what another repository of the tenant has', async () => {
    await have(image, at('b/first:1'), at('b/second:1'));
    await transfers().push({ ...bench.request(), ...auth, reference: at('b/first:1') });
    bench.lines.length = 0;
    await transfers().push({ ...bench.request(), ...auth, reference: at('b/first:1') });
    expect(bench.said().filter((line) => line.endsWith('Layer already exists'))).toHaveLength(3);
    bench.lines.length = 0;
    await transfers().push({ ...bench.request(), ...auth, reference: at('b/second:1') });
    expect(bench.said().filter((line) => line.endsWith('Mounted from b/first'))).toHaveLength(3);
    expect(await pulledBy('b/second:1')).toEqual({ digest: image.digest, same: true });
  });

  it('is sent gzip, the same each time, of layers that were made here', async () => {
    const zstd = await sampleImage([300_000, 20_000], (tar) => {
      const bytes = zstdCompressSync(tar);
      plain.set(bytes, tar);
      return { bytes, mediaType: MEDIA_TYPES.layerZstd };
    });
    image = zstd;
    await have(zstd, at('c/made:1'));
    const first = await transfers().push({ ...bench.request(), ...auth, reference: at('c/made:1') });
    expect(first.digest).not.toBe(zstd.digest);
    expect(await pulledBy('c/made:1')).toEqual({ digest: first.digest, same: true });
    bench.lines.length = 0;
    expect((await transfers().push({ ...bench.request(), ...auth, reference: at('c/made:1') })).digest).toBe(first.digest);
    expect(bench.said().filter((line) => line.endsWith('Layer already exists'))).toHaveLength(2);
  });

  it('has no image that nobody pushed', async () => {
    await expect(transfers().pull({ ...bench.request(), ...auth, reference: at('none/such:1') })).rejects.toMatchObject({ code: 'not_found', message: expect.stringContaining(' not found: ') });
    await expect(transfers().push({ ...bench.request(), ...auth, reference: at('none/here:1') })).rejects.toMatchObject({ code: 'not_found', message: `An image does not exist locally with the tag: ${registry.host}/none/here` });
  });

  if (kind === 'nobody') return;

  it('knows who may come in', async () => {
    const signal = AbortSignal.timeout(10_000);
    expect(await transfers().login(registry.host, LOGIN, signal)).toEqual(kind === 'token' ? { identityToken: 'refresh-alice' } : {});
    const wrong = transfers().login(`http://${registry.host}/v2/`, { ...LOGIN, password: 'wrong' }, signal);
    await expect(wrong).rejects.toMatchObject({ code: 'unauthenticated', message: kind === 'basic' ? `login attempt to http://${registry.host}/v2/ failed with status: 401 Unauthorized` : expect.stringMatching(/^Get "http:.*\/v2\/": unauthorized: incorrect username or password$/) });
    await expect(transfers().login(registry.host, {}, signal)).rejects.toMatchObject({ code: 'unauthenticated' });
  });

  it('refuses the others in words that Docker’s users know', async () => {
    await have(image, at('d/app:1'));
    await transfers().push({ ...bench.request(), ...auth, reference: at('d/app:1') });
    const other = await transferBench();
    try {
      const anonymous = transfers(other).pull({ ...other.request(), reference: at('d/app:1') });
      await expect(anonymous).rejects.toMatchObject(
        kind === 'basic'
          ? { code: 'unauthenticated', message: expect.stringMatching(/^Get "http:.*": no basic auth credentials$/) }
          : { code: 'permission_denied', message: `pull access denied for ${registry.host}/d/app, repository does not exist or may require 'docker login': denied: requested access to the resource is denied` },
      );
      const wrong = transfers(other).pull({ ...other.request(), reference: at('d/app:1'), auth: { ...LOGIN, password: 'wrong' } });
      await expect(wrong).rejects.toMatchObject({ code: 'unauthenticated', message: expect.stringContaining('unauthorized: ') });
      const push = transfers().push({ ...bench.request(), reference: at('d/app:1') });
      await expect(push).rejects.toMatchObject(kind === 'basic' ? { code: 'unauthenticated', message: expect.stringContaining('no basic auth credentials') } : { code: 'permission_denied', message: 'denied: requested access to the resource is denied' });
    } finally {
      await other.cleanup();
    }
  });

  if (kind === 'token') {
    it('takes an identity token in the place of a password', async () => {
      await have(image, at('e/app:1'));
      const identity = { identityToken: 'refresh-alice' };
      await transfers().push({ ...bench.request(), auth: identity, reference: at('e/app:1') });
      expect((await pulledBy('e/app:1')).digest).toBe(image.digest);
    });
  }
});
