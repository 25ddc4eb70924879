import type { ImageRecord } from '#engine';
import { CodedError, digestOf, newId } from '#kernel';
import { runtimeDefinitionSchema } from '#contracts';
import { PLATFORM_TENANT } from './platform-tenant.js';
import { RuntimeImages } from './runtime-images.js';

const NAME = 'runtimes.sandbar/python:latest';
const definition = runtimeDefinitionSchema.parse({ name: 'python', title: 'Python', mainFile: 'main.py', run: ['python3'], env: { LANG: 'C' }, versionCommand: ['x'], example: { code: '', stdout: '' } });
const record = (text: string): ImageRecord => ({
  id: digestOf(text), manifest: digestOf(`manifest ${text}`), chainId: digestOf('chain'), config: { architecture: 'amd64', os: 'linux', config: {}, rootfs: { type: 'layers', diff_ids: [] } },
  layers: [{ diffId: digestOf('d'), chainId: digestOf('chain'), blob: digestOf(`blob ${text}`), sizeBytes: 1 }],
  tags: [], digests: [], parent: undefined, rawConfig: {}, sizeBytes: 1, addedAt: 1, taggedAt: undefined, containers: [],
});

describe("a runtime as a tenant's image", () => {
  const tenantId = newId('tenant');
  let provided: ImageRecord;
  let own: ImageRecord | undefined;
  let pinned: Set<string>;
  let registered: unknown[];
  let images: RuntimeImages;

  beforeEach(() => {
    [provided, own, pinned, registered] = [record('first'), undefined, new Set(), []];
    images = new RuntimeImages(
      { resolve: (name) => (name === 'py' || name === 'python' ? { definition, chainId: digestOf('chain'), image: digestOf('runtime') } : undefined) },
      {
        resolve: (namespace, text) => {
          const found = namespace === PLATFORM_TENANT && text === digestOf('runtime') ? provided : namespace === tenantId && text === NAME ? own : undefined;
          return found === undefined ? Promise.reject(new CodedError('not_found', `No such image: ${text}`)) : Promise.resolve(found);
        },
        register: (namespace, { manifest, names }) => {
          registered.push({ namespace, manifest, names: names.map(({ domain, path, tag }) => `${domain}/${path}:${tag ?? ''}`), pinned: [...pinned].sort() });
          own = provided;
          return Promise.resolve(provided);
        },
      },
      { pin: (digests) => { for (const digest of digests) pinned.add(digest); return Promise.resolve({ add: () => Promise.resolve(), release: () => { pinned.clear(); } }); } },
    );
  });

  it('is registered once, under what nobody can pull, its blobs pinned meanwhile', async () => {
    expect(await images.provide(tenantId, 'py')).toEqual({ image: NAME, env: { LANG: 'C' } });
    expect(registered).toEqual([{ namespace: tenantId, manifest: provided.manifest, names: [NAME], pinned: [provided.manifest, provided.id, digestOf('blob first')].sort() }]);
    expect(pinned.size).toBe(0);
    await images.provide(tenantId, 'python');
    expect(registered).toHaveLength(1);
  });

  it('is the newer one once that is installed', async () => {
    await images.provide(tenantId, 'python');
    provided = record('second');
    await images.provide(tenantId, 'python');
    expect(registered).toMatchObject([{}, { manifest: digestOf('manifest second') }]);
  });

  it('is refused when this node has none of that name', async () => {
    await expect(images.provide(tenantId, 'cobol')).rejects.toMatchObject({ code: 'not_found' });
  });
});
