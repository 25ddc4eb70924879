import { randomBytes } from 'node:crypto';
import { Readable } from 'node:stream';
import { gzipSync } from 'node:zlib';
import { digestOf, type Digest } from '#kernel';
import { MEDIA_TYPES, hostPlatform } from '../../images/index.js';
import { writeTar } from '../../tar/index.js';

export interface SampleImage {
  readonly manifest: Buffer;
  readonly digest: Digest;
  readonly config: Buffer;
  readonly configDigest: Digest;
  readonly layers: readonly { readonly digest: Digest; readonly diffId: Digest; readonly bytes: Buffer }[];
}

/** An image with layers of one file each, noise of these sizes. */
export async function sampleImage(sizes: readonly number[] = [50_000, 70_000], stored: (tar: Buffer) => { readonly bytes: Buffer; readonly mediaType: string } = gzipped): Promise<SampleImage> {
  const layers = await Promise.all(
    sizes.map(async (size, index) => {
      const entry = { path: `noise-${index}`, type: 'file', mode: 0o644, uid: 0, gid: 0, size, mtimeNs: 0n, content: [randomBytes(size)] } as const;
      const tar = Buffer.concat(await Readable.from(writeTar([entry])).toArray());
      const { bytes, mediaType } = stored(tar);
      return { digest: digestOf(bytes), diffId: digestOf(tar), bytes, mediaType };
    }),
  );
  const config = Buffer.from(JSON.stringify({ ...hostPlatform(), config: {}, rootfs: { type: 'layers', diff_ids: layers.map(({ diffId }) => diffId) } }));
  const document = {
    schemaVersion: 2,
    mediaType: MEDIA_TYPES.manifest,
    config: { mediaType: MEDIA_TYPES.config, digest: digestOf(config), size: config.length },
    layers: layers.map(({ mediaType, digest, bytes }) => ({ mediaType, digest, size: bytes.length })),
  };
  const manifest = Buffer.from(JSON.stringify(document));
  return { manifest, digest: digestOf(manifest), config, configDigest: digestOf(config), layers };
}

function gzipped(tar: Buffer): { bytes: Buffer; mediaType: string } {
  return { bytes: gzipSync(tar), mediaType: MEDIA_TYPES.layerGzip };
}
