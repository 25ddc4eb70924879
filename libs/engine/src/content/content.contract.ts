import { CodedError, digestOf, type Digest } from '#kernel';
import type { ContentStore } from './content.js';

export interface ContentStoreUnderTest {
  readonly store: ContentStore;
  /** Replaces the bytes kept for a blob behind the store's back. */
  damage(digest: Digest, bytes: Uint8Array): Promise<void>;
  /** How many things the store holds that are neither whole blobs nor directories. */
  countUnfinished(): Promise<number>;
  /** Makes all downloads a day older. */
  age(): Promise<void>;
  /** The same store as after a restart. */
  reopen(): Promise<ContentStore>;
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

async function settled(promise: Promise<unknown>, afterMs = 50): Promise<boolean> {
  let done = false;
  const mark = (): void => {
    done = true;
  };
  void promise.then(mark, mark);
  await new Promise((resolve) => setTimeout(resolve, afterMs));
  return done;
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

    it('deletes nothing that is pinned, and all of it afterwards', async () => {
      const { digest } = await store.write(chunks('pinned'));
      const first = await store.pin([digest, digest]);
      const second = await store.pin([]);
      await second.add([digest]);
      await store.delete(digest);
      first.release();
      first.release();
      expect((await store.sweep(() => false)).removed).toEqual([]);
      expect((await store.read(digest)).toString()).toBe('pinned');
      second.release();
      expect((await store.sweep(() => false)).removed).toEqual([{ digest, size: 6 }]);
      expect(await store.stat(digest)).toBeUndefined();
    });

    it('protects what comes after the pin', async () => {
      const digest = digestOf('late');
      const pin = await store.pin([digest]);
      await store.write(chunks('late'));
      await store.delete(digest);
      expect(await store.stat(digest)).toBeDefined();
      pin.release();
    });

    it('answers a pin only when what is then seen stays', async () => {
      for (let round = 0; round < 30; round += 1) {
        const { digest } = await store.write(chunks(`round ${round}`));
        const deletion = round % 2 === 0 ? store.delete(digest) : store.sweep(() => false);
        const pin = await store.pin([digest]);
        const seen = await store.stat(digest);
        await deletion;
        expect(await store.stat(digest)).toEqual(seen);
        pin.release();
      }
    });

    it('sweeps what is not needed', async () => {
      const kept = await store.write(chunks('kept'));
      const loose = await store.write(chunks('loose'));
      expect(await store.sweep((digest) => digest === kept.digest)).toEqual({ removed: [loose] });
      expect(await digests(store)).toEqual([kept.digest]);
    });

    it('takes up a download where another has left it', async () => {
      const digest = digestOf('hello world');
      const first = await store.ingest(digest, 11);
      expect(first.offset).toBe(0);
      await first.write(Buffer.from('hello '));
      await first.close();
      await first.close();
      await expect(first.write(Buffer.from('x'))).rejects.toMatchObject({ code: 'failed_precondition' });
      expect(await store.stat(digest)).toBeUndefined();
      const second = await store.ingest(digest, 11);
      expect(second.offset).toBe(6);
      await second.write(Buffer.from('world'));
      expect(second.offset).toBe(11);
      expect(await second.commit()).toEqual({ digest, size: 11 });
      await second.close();
      expect((await store.read(digest)).toString()).toBe('hello world');
      expect(await under.countUnfinished()).toBe(0);
    });

    it('has nothing to download of what is there', async () => {
      const { digest } = await store.write(chunks('here'));
      const ingest = await store.ingest(digest, 4);
      expect(ingest.offset).toBe(4);
      expect(await ingest.commit()).toEqual({ digest, size: 4 });
      await ingest.close();
      expect(await under.countUnfinished()).toBe(0);
    });

    it('lets one write a download at a time, and shows the next what came of it', async () => {
      const digest = digestOf('one');
      const first = await store.ingest(digest, 3);
      const second = store.ingest(digest, 3);
      const third = store.ingest(digest);
      expect(await settled(second)).toBe(false);
      await first.write(Buffer.from('on'));
      await first.close();
      expect((await second).offset).toBe(2);
      expect(await settled(third)).toBe(false);
      await (await second).write(Buffer.from('e'));
      await (await second).commit();
      expect((await third).offset).toBe(3);
      await (await third).close();
    });

    it('forgets a download of other bytes than those announced, and can begin anew', async () => {
      const digest = digestOf('good');
      const ingest = await store.ingest(digest, 4);
      await ingest.write(Buffer.from('evil'));
      await expect(ingest.commit()).rejects.toMatchObject({ code: 'digest_mismatch' });
      expect(ingest.offset).toBe(0);
      await ingest.write(Buffer.from('goo'));
      await expect(ingest.commit()).rejects.toMatchObject({ code: 'digest_mismatch' });
      await ingest.write(Buffer.from('goo'));
      await expect(ingest.write(Buffer.from('dness'))).rejects.toMatchObject({ code: 'digest_mismatch' });
      expect(ingest.offset).toBe(0);
      await ingest.write(Buffer.from('bad'));
      await ingest.restart();
      await ingest.write(Buffer.from('good'));
      await ingest.commit();
      expect((await store.read(digest)).toString()).toBe('good');
    });

    it('does not believe a kept prefix', async () => {
      const digest = digestOf('good');
      const evil = await store.ingest(digest, 4);
      await evil.write(Buffer.from('ev'));
      await evil.close();
      const ingest = await store.ingest(digest, 4);
      expect(ingest.offset).toBe(2);
      await ingest.write(Buffer.from('od'));
      await expect(ingest.commit()).rejects.toMatchObject({ code: 'digest_mismatch' });
      await ingest.close();
      expect(await store.stat(digest)).toBeUndefined();
    });

    it('refuses to download under a digest that would name another file', async () => {
      await expect(store.ingest('sha256:../../../etc/passwd' as Digest)).rejects.toMatchObject({ code: 'invalid_argument' });
    });

    it('keeps what a killed download has, for those who come back soon', async () => {
      const digest = digestOf('hello world');
      const before = await store.ingest(digest, 11);
      await before.write(Buffer.from('hello '));
      store = await under.reopen();
      await store.sweep(() => false);
      const after = await store.ingest(digest, 11);
      expect(after.offset).toBe(6);
      await after.write(Buffer.from('world'));
      await after.commit();
      expect((await store.read(digest)).toString()).toBe('hello world');
      await before.close();
    });

    it('keeps whole downloads of a killed holder for an hour, and of one that let go not at all', async () => {
      const fetch = async (text: string): Promise<Digest> => {
        const ingest = await store.ingest(digestOf(text));
        await ingest.write(Buffer.from(text));
        return (await ingest.commit()).digest;
      };
      const pin = await store.pin([digestOf('let go')]);
      await fetch('let go');
      pin.release();
      await store.pin([digestOf('killed')]);
      const killed = await fetch('killed');
      store = await under.reopen();
      expect((await store.sweep(() => false)).removed).toEqual([{ digest: digestOf('let go'), size: 6 }]);
      await under.age();
      expect((await store.sweep(() => false)).removed).toEqual([{ digest: killed, size: 6 }]);
      expect(await digests(store)).toEqual([]);
    });

    it('sweeps downloads that nobody came back for, except those pinned or being written', async () => {
      const texts = ['abandoned', 'pinned', 'written'];
      const [abandoned, pinned, written] = await Promise.all(texts.map((text) => store.ingest(digestOf(text))));
      for (const ingest of [abandoned!, pinned!, written!]) await ingest.write(Buffer.from('half'));
      await abandoned!.close();
      await pinned!.close();
      const pin = await store.pin([digestOf('pinned')]);
      await under.age();
      await store.sweep(() => false);
      expect(await under.countUnfinished()).toBe(2);
      const offsets: number[] = [];
      for (const text of texts.slice(0, 2)) {
        const ingest = await store.ingest(digestOf(text));
        offsets.push(ingest.offset);
        await ingest.close();
      }
      expect(offsets).toEqual([0, 4]);
      pin.release();
      await written!.close();
    });
  });
}
