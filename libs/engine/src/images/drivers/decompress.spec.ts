import { gzipSync, zstdCompressSync } from 'node:zlib';
import { CodedError } from '#kernel';
import { streamOf } from '../../snapshots/snapshots.contract.js';
import { decompressed } from './decompress.js';

const SKIPPABLE = Buffer.concat([Buffer.from([0x50, 0x2a, 0x4d, 0x18, 4, 0, 0, 0]), Buffer.from('abcd')]);
const large = Buffer.from(Array.from({ length: 300_000 }, (_, place) => (place * place) % 251));

async function textOf(bytes: Buffer, step: number): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of decompressed(streamOf(bytes, step))) chunks.push(chunk);
  return Buffer.concat(chunks);
}

describe.each([1, 7, 64, 4096, 10_000_000])('bytes that come %d at a time', (step) => {
  const zstd = (text: string | Buffer) => zstdCompressSync(text);
  it.each<[string, Buffer, Buffer]>([
    ['nothing', Buffer.alloc(0), Buffer.alloc(0)],
    ['less than a signature', Buffer.from('ab'), Buffer.from('ab')],
    ['plain bytes', Buffer.from('hello world'), Buffer.from('hello world')],
    ['gzip', gzipSync('hello world'), Buffer.from('hello world')],
    ['gzip of several members', Buffer.concat([gzipSync('hello '), gzipSync('world')]), Buffer.from('hello world')],
    ['gzip with padding', Buffer.concat([gzipSync('hello'), Buffer.alloc(100)]), Buffer.from('hello')],
    ['zstd', zstd('hello world'), Buffer.from('hello world')],
    ['zstd of several frames', Buffer.concat([zstd('hello '), zstd('world'), zstd('!')]), Buffer.from('hello world!')],
    ['zstd with frames to skip', Buffer.concat([zstd('hello '), SKIPPABLE, zstd('world'), SKIPPABLE]), Buffer.from('hello world')],
    ['long zstd frames', Buffer.concat([zstd(large), zstd(large)]), Buffer.concat([large, large])],
  ])('are decompressed: %s', async (_what, bytes, expected) => {
    if (step === 1 && bytes.length > 10_000) return;
    expect((await textOf(bytes, step)).equals(expected)).toBe(true);
  });

  it.each<[string, Buffer]>([
    ['cut gzip', gzipSync('hello world').subarray(0, 15)],
    ['gzip and noise', Buffer.concat([gzipSync('hello'), Buffer.from('noise')])],
    ['cut zstd', zstd('hello world').subarray(0, 15)],
    ['zstd with a cut second frame', Buffer.concat([zstd('hello'), zstd('hello world').subarray(0, 15)])],
    ['zstd and noise', Buffer.concat([zstd('hello'), Buffer.from('noise and more of it')])],
    ['altered zstd', Buffer.concat([zstd('hello').subarray(0, 5), Buffer.alloc(20, 0xff)])],
  ])('are refused: %s', async (_what, bytes) => {
    await expect(textOf(bytes, step)).rejects.toMatchObject({ code: 'invalid_argument' });
  });
});

it('hands on what the source throws', async () => {
  const failing = async function* () {
    yield* streamOf(zstdCompressSync(large).subarray(0, 100));
    await Promise.resolve();
    throw new CodedError('unavailable', 'the line went dead');
  };
  await expect(async () => {
    for await (const chunk of decompressed(failing())) expect(chunk).toBeDefined();
  }).rejects.toMatchObject({ code: 'unavailable' });
});
