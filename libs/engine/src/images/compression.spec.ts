import { randomBytes } from 'node:crypto';
import { constants, gzipSync, zstdCompressSync, zstdDecompressSync } from 'node:zlib';
import { compressionOf, peeked } from './compression.js';
import { decompressed } from './drivers/decompress.js';

const TEXT = Buffer.from('a layer '.repeat(100_000));

async function* chunksOf(bytes: Uint8Array, size: number): AsyncGenerator<Uint8Array, void, void> {
  for (let at = 0; at < bytes.length; at += size) yield await Promise.resolve(bytes.subarray(at, at + size));
}

async function all(source: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of source) chunks.push(Buffer.from(chunk));
  return Buffer.concat(chunks);
}

describe('compression', () => {
  it.each([
    ['gzip', gzipSync(TEXT)],
    ['zstd', zstdCompressSync(TEXT)],
    ['none', TEXT],
  ] as const)('tells %s by its first bytes and gives the plain bytes, however they are cut', async (name, bytes) => {
    expect(compressionOf(bytes.subarray(0, 6))).toBe(name);
    for (const size of [1, 7, 65_536]) {
      if (size === 1 && name === 'none') continue;
      expect((await all(decompressed(chunksOf(bytes, size)))).equals(TEXT)).toBe(true);
    }
  });

  it('reads a stream of several members or frames to its end, whatever a skippable one between them holds', async () => {
    const skippable = Buffer.concat([Buffer.from([0x53, 0x2a, 0x4d, 0x18, 5, 0, 0, 0]), Buffer.from('index')]);
    const [checksummed, empty] = [{ params: { [constants.ZSTD_c_checksumFlag]: 1 } }, Buffer.alloc(0)];
    const zstd = [skippable, zstdCompressSync(TEXT), skippable, zstdCompressSync(randomBytes(300_000), checksummed), zstdCompressSync(empty), zstdCompressSync(Buffer.alloc(400_000)), skippable];
    const plain = Buffer.concat(zstd.filter((part) => part !== skippable).map((part) => zstdDecompressSync(part)));
    for (const size of [1000, 65_536, 10_000_000]) {
      expect((await all(decompressed(chunksOf(Buffer.concat(zstd), size)))).equals(plain)).toBe(true);
      expect((await all(decompressed(chunksOf(Buffer.concat([gzipSync(TEXT), gzipSync(TEXT)]), size)))).equals(Buffer.concat([TEXT, TEXT]))).toBe(true);
    }
    await expect(all(decompressed(chunksOf(Buffer.concat([zstdCompressSync(TEXT), Buffer.from('rubbish')]), 65_536)))).rejects.toMatchObject({ code: 'invalid_argument' });
  });

  it('gives back streams that are shorter than a magic number', async () => {
    for (const text of ['', 'x', 'abc']) {
      const { head, source } = await peeked(chunksOf(Buffer.from(text), 2));
      expect({ head: head.toString(), whole: (await all(source)).toString() }).toEqual({ head: text, whole: text });
    }
  });

  it.each([
    ['gzip', gzipSync(TEXT)],
    ['zstd', zstdCompressSync(TEXT)],
  ])('refuses %s that is cut off or damaged', async (_name, bytes) => {
    const cut = bytes.subarray(0, bytes.length - 5);
    await expect(all(decompressed(chunksOf(cut, 100)))).rejects.toMatchObject({ code: 'invalid_argument' });
    const damaged = Buffer.from(bytes);
    damaged.fill(0xff, 20, 60);
    await expect(all(decompressed(chunksOf(damaged, 100)))).rejects.toMatchObject({ code: 'invalid_argument' });
  });

  it('refuses what it cannot read by name, and hands on the errors of the source', async () => {
    await expect(all(decompressed(chunksOf(Buffer.from([0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00, 0]), 3)))).rejects.toThrow(/xz/);
    await expect(all(decompressed(chunksOf(Buffer.from('BZh91AY'), 3)))).rejects.toThrow(/bzip2/);
    async function* broken(): AsyncGenerator<Uint8Array, void, void> {
      yield await Promise.resolve(gzipSync(TEXT).subarray(0, 30));
      throw new Error('the line is dead');
    }
    await expect(all(decompressed(broken()))).rejects.toThrow('the line is dead');
  });

  it('closes the source when its reader stops early', async () => {
    let closed = false;
    async function* endless(): AsyncGenerator<Uint8Array, void, void> {
      try {
        for (;;) yield await Promise.resolve(Buffer.alloc(1000, 7));
      } finally {
        closed = true;
      }
    }
    for await (const chunk of decompressed(endless())) if (chunk.length > 0) break;
    expect(closed).toBe(true);
  });
});
