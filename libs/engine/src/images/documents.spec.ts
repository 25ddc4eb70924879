import { digestOf } from '#kernel';
import { documentKind, findManifest, layerCompressionOf, MEDIA_TYPES, parseImageConfig, parseIndex, parseManifest, parseObject, selectPlatform, type Descriptor, type ImageIndex } from './index.js';

const json = (value: unknown): Buffer => Buffer.from(JSON.stringify(value));
const descriptor = (mediaType: string, of = 'x') => ({ mediaType, digest: digestOf(of), size: of.length });
const manifest = (fields: object = {}) => ({ schemaVersion: 2, mediaType: MEDIA_TYPES.manifest, config: descriptor(MEDIA_TYPES.config), layers: [descriptor(MEDIA_TYPES.layerGzip)], ...fields });
const invalid = (message: string | RegExp) => expect.objectContaining({ code: 'invalid_argument', message: typeof message === 'string' ? message : expect.stringMatching(message) }) as Error;
const thrownBy = (action: () => unknown): unknown => {
  try {
    action();
  } catch (error) {
    return error;
  }
  throw new Error('nothing was thrown');
};

describe('a manifest', () => {
  it('is read, OCI or Docker', () => {
    expect(parseManifest(json(manifest({ annotations: { a: 'b' } })))).toEqual(manifest({ annotations: { a: 'b' } }));
    const docker = { schemaVersion: 2, mediaType: MEDIA_TYPES.dockerManifest, config: descriptor(MEDIA_TYPES.dockerConfig), layers: [descriptor(MEDIA_TYPES.dockerLayerGzip)] };
    expect(parseManifest(json(docker))).toEqual(docker);
    const untyped = { ...manifest({ layers: null }), mediaType: undefined };
    expect(parseManifest(json(untyped))).toEqual({ ...untyped, mediaType: MEDIA_TYPES.manifest, layers: [] });
  });

  it.each([
    ['a foreign layer', { layers: [descriptor('application/vnd.docker.image.rootfs.foreign.diff.tar.gzip')] }, /may not be distributed/],
    ['a layer that may not be distributed', { layers: [descriptor('application/vnd.oci.image.layer.nondistributable.v1.tar+gzip')] }, /may not be distributed/],
    ['a chart', { config: descriptor('application/vnd.cncf.helm.config.v1+json') }, /not a container image: its config/],
    ['an attestation', { layers: [descriptor('application/vnd.in-toto+json')] }, /not a container image: a layer/],
    ['a layer named after what every object has', { layers: [descriptor('constructor')] }, /not a container image: a layer/],
    ['too many layers', { layers: Array.from({ length: 128 }, () => descriptor(MEDIA_TYPES.layer)) }, /128 layers/],
    ['no config', { config: undefined }, /config of an image manifest is missing/],
    ['a size that is none', { layers: [{ ...descriptor(MEDIA_TYPES.layer), size: -1 }] }, /no size/],
    ['a size beyond counting', { layers: [{ ...descriptor(MEDIA_TYPES.layer), size: 2 ** 60 }] }, /no size/],
    ['a digest that is a path', { config: { ...descriptor(MEDIA_TYPES.config), digest: 'sha256:../../x' } }, /no sha256 digest/],
    ['both a manifest and an index', { manifests: [] }, /both/],
  ])('is refused with %s', (_what, fields, message) => {
    expect(thrownBy(() => parseManifest(json(manifest(fields))))).toEqual(invalid(message));
  });

  it('of schema 1 is told apart', () => {
    expect(thrownBy(() => documentKind(json({ schemaVersion: 1, fsLayers: [] })))).toMatchObject({ code: 'unsupported' });
  });

  it.each([['truncated', Buffer.from('{"a":')], ['not UTF-8', Buffer.from([0x22, 0xff, 0x22])], ['a list', json([])], ['null', json(null)], ['deep', Buffer.from(`{"a":${'['.repeat(100_000)}${']'.repeat(100_000)}}`)], ['large', Buffer.alloc(4 * 1024 * 1024 + 1, 0x20)]])(
    'is refused when it is %s',
    (_what, bytes) => {
      expect(thrownBy(() => parseObject(bytes))).toEqual(invalid(/image document/));
    },
  );
});

describe('an index', () => {
  const entry = (os: string, architecture: string, variant?: string) => ({ ...descriptor(MEDIA_TYPES.manifest, [os, architecture, variant].join('/')), platform: { os, architecture, ...(variant === undefined ? {} : { variant }) } });
  const index = (...manifests: object[]): ImageIndex => parseIndex(json({ schemaVersion: 2, mediaType: MEDIA_TYPES.index, manifests }));
  const linux = (architecture: string, variant?: string) => ({ os: 'linux', architecture, ...(variant === undefined ? {} : { variant }) });

  it.each([
    ['amd64', linux('amd64'), [entry('unknown', 'unknown'), entry('windows', 'amd64'), entry('linux', 'arm64', 'v8'), entry('linux', 'amd64')], 3],
    ['amd64 by its other name', linux('x86_64'), [entry('linux', 'amd64')], 0],
    ['amd64 v1 as plain', linux('amd64'), [entry('linux', 'amd64', 'v3'), entry('linux', 'amd64', 'v1')], 1],
    ['the best of what amd64 v3 runs', linux('amd64', 'v3'), [entry('linux', 'amd64'), entry('linux', 'amd64', 'v2'), entry('linux', 'amd64', 'v4')], 1],
    ['386 where there is no amd64', linux('amd64'), [entry('linux', 'arm', 'v7'), entry('linux', '386')], 1],
    ['arm64 v8 as plain', linux('arm64'), [entry('linux', 'arm', 'v7'), entry('linux', 'arm64', 'v8')], 1],
    ['plain arm64 for v8', linux('arm64', 'v8'), [entry('linux', 'arm64')], 0],
    ['arm v7 by default', linux('arm'), [entry('linux', 'arm', 'v6'), entry('linux', 'arm', 'v7')], 1],
    ['arm v6 for v7', linux('arm', 'v7'), [entry('linux', 'arm', 'v5'), entry('linux', 'arm', 'v6')], 1],
    ['what names no platform, last', linux('amd64'), [descriptor(MEDIA_TYPES.manifest), entry('linux', 'amd64')], 1],
    ['what names no platform', linux('amd64'), [entry('linux', 's390x'), descriptor(MEDIA_TYPES.index)], 1],
  ])('gives %s', (_what, wanted, manifests, place) => {
    expect(selectPlatform(index(...manifests), wanted).digest).toBe((manifests[place] as Descriptor).digest);
  });

  it.each([
    ['another architecture', [entry('linux', 's390x')]],
    ['a higher variant', [entry('linux', 'arm', 'v7')]],
    ['nothing', []],
    ['an attestation', [{ ...descriptor(MEDIA_TYPES.manifest), platform: { os: 'unknown', architecture: 'unknown' } }]],
  ])('does not give %s', (_what, manifests) => {
    expect(thrownBy(() => selectPlatform(index(...manifests), linux('arm', 'v6')))).toMatchObject({ code: 'unsupported', message: 'no matching manifest for linux/arm/v6 in the manifest list entries' });
  });

  it('is followed to the manifest, and verified on the way', async () => {
    const inner = json(manifest());
    const middle = json({ schemaVersion: 2, manifests: [{ mediaType: MEDIA_TYPES.manifest, digest: digestOf(inner), size: inner.length, platform: linux('amd64') }] });
    const outer = json({ schemaVersion: 2, manifests: [{ mediaType: MEDIA_TYPES.index, digest: digestOf(middle), size: middle.length }] });
    const blobs = new Map([inner, middle].map((bytes) => [digestOf(bytes), bytes]));
    const read = ({ digest }: Descriptor) => Promise.resolve(blobs.get(digest) ?? Buffer.from('{}'));
    expect(await findManifest(outer, linux('amd64'), read)).toEqual({ digest: digestOf(inner), bytes: inner, manifest: manifest(), via: [digestOf(outer), digestOf(middle)] });
    blobs.set(digestOf(middle), Buffer.from(middle.toString().replace('amd64', 'arm64')));
    await expect(findManifest(outer, linux('amd64'), read)).rejects.toMatchObject({ code: 'digest_mismatch' });
  });

  it('is not followed without end', async () => {
    let bytes = json(manifest());
    const blobs = new Map<string, Buffer>();
    for (let depth = 0; depth < 4; depth += 1) {
      blobs.set(digestOf(bytes), bytes);
      bytes = json({ schemaVersion: 2, manifests: [{ mediaType: depth === 0 ? MEDIA_TYPES.manifest : MEDIA_TYPES.index, digest: digestOf(bytes), size: bytes.length }] });
    }
    const read = ({ digest }: Descriptor) => Promise.resolve(blobs.get(digest)!);
    await expect(findManifest(bytes, linux('amd64'), read)).rejects.toEqual(invalid(/nested more than 3 deep/));
  });

  it('is refused with too many entries', () => {
    expect(thrownBy(() => index(...Array.from({ length: 1001 }, () => descriptor(MEDIA_TYPES.manifest))))).toEqual(invalid(/1001 entries/));
  });
});

describe('an image config', () => {
  it('is read without what is null, whatever else it holds', () => {
    const bytes = json({ architecture: 'amd64', os: 'linux', container: 'abc', config: { Env: null, Cmd: 'run', Labels: null, Tty: false, ExposedPorts: { '80/tcp': {} }, OnBuild: null, Entrypoint: ['/e'] }, rootfs: { type: 'layers', diff_ids: null }, history: [{ created_by: 'x', empty_layer: false }] });
    expect(parseImageConfig(bytes)).toEqual({ architecture: 'amd64', os: 'linux', config: { Cmd: ['run'], ExposedPorts: { '80/tcp': {} }, Entrypoint: ['/e'] }, rootfs: { type: 'layers', diff_ids: [] }, history: [{ created_by: 'x' }] });
  });

  it.each([
    ['rootfs', { config: {} }],
    ['rootfs.diff_ids', { rootfs: { type: 'layers', diff_ids: ['sha256:1'] } }],
    ['config', { rootfs: { type: 'layers', diff_ids: [] }, config: [] }],
    ['Env', { rootfs: { type: 'layers', diff_ids: [] }, config: { Env: [1] } }],
    ['history', { rootfs: { type: 'layers', diff_ids: [] }, history: {} }],
  ])('is refused when its %s is malformed', (field, value) => {
    expect(thrownBy(() => parseImageConfig(json(value)))).toMatchObject({ code: 'invalid_argument', details: { field } });
  });
});

it('knows how each media type of a layer is compressed', () => {
  expect([MEDIA_TYPES.layer, MEDIA_TYPES.layerGzip, MEDIA_TYPES.layerZstd, MEDIA_TYPES.dockerLayerGzip].map(layerCompressionOf)).toEqual(['none', 'gzip', 'zstd', 'gzip']);
});
