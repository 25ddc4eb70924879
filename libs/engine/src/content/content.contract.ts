import { CodedError, digestOf, type Digest } from '#kernel';
import type { ContentStore } from './content.js';

export interface ContentStoreUnderTest {
  readonly store: ContentStore;
  /** Replaces the bytes kept for a blob behind the store's back. */
  damage(digest: Digest, bytes: Uint8Array): Promise<void>;
  /** How many things the store holds that are neither whole blobs nor directories. */
  countUnfinished(): Promise<number>;
  cleanup(): Promise<void>;
}

async function* chunks(...parts: (string | Uint8Array)[]): AsyncGenerator<Uint8Array, void, void> {
  for (const part of parts) {
    await Promise.resolve();
    yield Buffer.from(part);
  }
}

async function collect(source: AsyncIterable<Uint8Array>): Promise<string> {
  const parts: Uint8Array[] = [];
  for await (const part of source) parts.push(part);
  return Buffer.concat(parts).toString();
}

async function digests(store: ContentStore): Promise<string[]> {
  const found: string[] = [];
  for await (const info of store.list()) found.push(info.digest);
  return found.sort();
}

export function describeContentStore(name: string, factory: () => Promise<ContentStoreUnderTest>): void {
  describe(`${name} as ContentStore`, () => {
    let under: ContentStoreUnderTest;
    let store: ContentStore;
    beforeEach(async () => {
      under = await factory();
      store = under.store;
    });
    afterEach(() => under.cleanup());

    it('gives back what was written, under its digest', async () => {
      const info = await store.write(chunks('hello ', 'world'));
      expect(info).toEqual({ digest: digestOf('hello world'), size: 11 });
      expect(await collect(await store.open(info.digest))).toBe('hello world');
      expect((await store.read(info.digest)).toString()).toBe('hello world');
      expect(await store.stat(info.digest)).toEqual(info);
    });

    it('keeps an empty blob', async () => {
      const info = await store.write(chunks());
      expect(info.size).toBe(0);
      expect((await store.read(info.digest)).length).toBe(0);
    });

    it('keeps a blob larger than any buffer', async () => {
      const part = Buffer.alloc(700_001, 7);
      const info = await store.write(chunks(part, part, part));
      expect(info.digest).toBe(digestOf(Buffer.concat([part, part, part])));
      let size = 0;
      for await (const chunk of await store.open(info.digest)) size += chunk.byteLength;
      expect(size).toBe(2_100_003);
    });

    it('stores the same bytes once, however many write them at a time', async () => {
      const infos = await Promise.all(Array.from({ length: 8 }, () => store.write(chunks('same', 'bytes'), digestOf('samebytes'))));
      expect(new Set(infos.map((info) => info.digest)).size).toBe(1);
      expect(await digests(store)).toEqual([digestOf('samebytes')]);
      expect(await under.countUnfinished()).toBe(0);
    });

    it('keeps nothing of bytes that are not those announced', async () => {
      await expect(store.write(chunks('evil'), digestOf('good'))).rejects.toMatchObject({ code: 'digest_mismatch' });
      expect(await digests(store)).toEqual([]);
      expect(await under.countUnfinished()).toBe(0);
    });

    it('keeps nothing of a source that fails half-way', async () => {
      async function* failing(): AsyncGenerator<Uint8Array, void, void> {
        yield Buffer.from('half');
        await Promise.resolve();
        throw new CodedError('unavailable', 'the line went dead');
      }
      await expect(store.write(failing())).rejects.toMatchObject({ code: 'unavailable' });
      expect(await digests(store)).toEqual([]);
      expect(await under.countUnfinished()).toBe(0);
    });

    it('knows what is not there', async () => {
      const absent = digestOf('absent');
      await expect(store.open(absent)).rejects.toMatchObject({ code: 'not_found' });
      await expect(store.read(absent)).rejects.toMatchObject({ code: 'not_found' });
      expect(await store.stat(absent)).toBeUndefined();
      await expect(store.delete(absent)).resolves.toBeUndefined();
    });

    it.each([
      ['cut short', 'hello wor'],
      ['emptied', ''],
      ['altered', 'hello w0rld'],
      ['grown', 'hello world and more'],
    ])('ends the reading of a blob that was %s with digest_mismatch', async (_how, bytes) => {
      const { digest } = await store.write(chunks('hello world'));
      await under.damage(digest, Buffer.from(bytes));
      await expect(store.open(digest).then(collect)).rejects.toMatchObject({ code: 'digest_mismatch' });
      await expect(store.read(digest)).rejects.toMatchObject({ code: 'digest_mismatch' });
    });

    it('heals a damaged blob when its bytes are written again', async () => {
      const { digest } = await store.write(chunks('hello world'));
      await under.damage(digest, Buffer.from('hello w0rld'));
      await store.write(chunks('hello world'), digest);
      expect((await store.read(digest)).toString()).toBe('hello world');
    });

    it('reads no more into memory than it was allowed', async () => {
      const { digest } = await store.write(chunks('0123456789'));
      await expect(store.read(digest, 9)).rejects.toMatchObject({ code: 'payload_too_large' });
      expect((await store.read(digest, 10)).length).toBe(10);
    });

    it('deletes, and lets an open reader finish', async () => {
      const { digest } = await store.write(chunks('going'));
      const reader = await store.open(digest);
      await store.delete(digest);
      expect(await store.stat(digest)).toBeUndefined();
      expect(await collect(reader)).toBe('going');
      await expect(collect(reader)).rejects.toMatchObject({ code: 'failed_precondition' });
    });

    it('refuses a digest that would name another file', async () => {
      const forged = 'sha256:../../../etc/passwd' as Digest;
      await expect(store.open(forged)).rejects.toMatchObject({ code: 'invalid_argument' });
      await expect(store.delete(forged)).rejects.toMatchObject({ code: 'invalid_argument' });
    });
  });
}
