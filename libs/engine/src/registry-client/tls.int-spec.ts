import { parseReference } from '#kernel';
import { HostileRegistry } from './testing/hostile-registry.contract.js';
import { sampleImage, type SampleImage } from './testing/sample-image.contract.js';
import { selfSigned } from './testing/self-signed.contract.js';
import { transferBench, type TransferBench } from './testing/transfer-bench.contract.js';

describe('a registry whose certificate nobody trusts', () => {
  let registry: HostileRegistry;
  let bench: TransferBench;
  let image: SampleImage;

  beforeEach(async () => {
    registry = await HostileRegistry.start(0, await selfSigned());
    bench = await transferBench();
    image = await sampleImage();
    registry.manifests.set('latest', { bytes: image.manifest });
    for (const { digest, bytes } of image.layers) registry.blobs.set(digest, bytes);
    registry.blobs.set(image.configDigest, image.config);
  });
  afterEach(async () => {
    await registry.stop();
    await bench.cleanup();
  });

  it('is spoken to when the operator says so', async () => {
    const { digest } = await bench.transfers({ insecure: [registry.host] }).pull({ ...bench.request(), reference: parseReference(`${registry.host}/app`) });
    expect(digest).toBe(image.digest);
  });

  it('hears not even a password otherwise', async () => {
    const pull = bench.transfers({ privateHosts: [registry.host] }).pull({ ...bench.request(), reference: parseReference(`${registry.host}/app`), auth: { username: 'u', password: 'p' } });
    await expect(pull).rejects.toMatchObject({ code: 'unavailable', message: expect.stringMatching(/^Get "https:.*\/v2\/": tls: failed to verify certificate: /) });
    expect(registry.seen).toEqual([]);
  });
});
