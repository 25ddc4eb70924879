import { createHash } from 'node:crypto';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { deflateSync } from 'node:zlib';
import fc from 'fast-check';
import { isCodedError, silentLogger } from '#kernel';
import type { UrlReply, UrlRequest } from '../registry-client/index.js';
import { readTar } from '../tar/index.js';
import { HttpGitSource } from './index.js';

const NEVER = new AbortController().signal;
const TYPES = { commit: 1, tree: 2, blob: 3, tag: 4, named: 7 } as const;

/** What a server sends that is not Git's. */
describe('packs that are made to harm', () => {
  let root: string;
  beforeAll(async () => {
    root = await mkdtemp(join(tmpdir(), 'git-packs-'));
  });
  afterAll(() => rm(root, { recursive: true }));
  afterEach(async () => {
    expect(await readdir(root)).toEqual([]);
  });

  const hashOf = (type: string, bytes: Buffer): string => createHash('sha1').update(`${type} ${bytes.length}\0`).update(bytes).digest('hex');

  function entry(type: keyof typeof TYPES, bytes: Buffer, more: { readonly size?: number; readonly base?: string } = {}): Buffer {
    let size = more.size ?? bytes.length;
    const head = [(TYPES[type] << 4) | size % 16];
    for (size = Math.floor(size / 16); size > 0; size = Math.floor(size / 128)) {
      head[head.length - 1] = (head.at(-1) ?? 0) | 0x80;
      head.push(size % 128);
    }
    return Buffer.concat([Buffer.from(head), Buffer.from(more.base ?? '', 'hex'), deflateSync(bytes)]);
  }

  function packOf(entries: readonly Buffer[], count = entries.length): Buffer {
    const head = Buffer.alloc(12);
    head.write('PACK', 'latin1');
    head.writeUInt32BE(2, 4);
    head.writeUInt32BE(count, 8);
    const all = Buffer.concat([head, ...entries]);
    return Buffer.concat([all, createHash('sha1').update(all).digest()]);
  }

  const packet = (bytes: Buffer | string): Buffer => Buffer.concat([Buffer.from((Buffer.byteLength(bytes) + 4).toString(16).padStart(4, '0')), Buffer.from(bytes)]);
  const flush = Buffer.from('0000');
  const reply = (...pieces: Buffer[]): UrlReply => ({ status: 200, url: new URL('http://x/r.git/info/refs'), headers: {}, bytes: (async function* () { yield* await Promise.resolve(pieces); })() });

  /** A server that says what it is told to the three questions. */
  function serving(commit: string, pack: Buffer): { exchange(text: string, request: UrlRequest): Promise<UrlReply> } {
    const bands = Array.from({ length: Math.ceil(pack.length / 60_000) }, (_, part) => packet(Buffer.concat([Buffer.from([1]), pack.subarray(part * 60_000, (part + 1) * 60_000)])));
    return {
      exchange: (text, { body }) => {
        if (text.includes('info/refs')) return Promise.resolve(reply(packet('# service=git-upload-pack\n'), flush, packet('version 2\n'), packet('fetch=shallow\n'), flush));
        if (body?.includes('ls-refs') === true) return Promise.resolve(reply(packet(`${commit} HEAD\n`), flush));
        return Promise.resolve(reply(packet('packfile\n'), ...bands, flush));
      },
    };
  }

  async function paths(commit: string, pack: Buffer, limits = {}): Promise<string[]> {
    const { tar } = await new HttpGitSource({ root, fetcher: serving(commit, pack), logger: silentLogger, limits }).fetch({ url: 'http://x/r.git' }, NEVER);
    const found: string[] = [];
    for await (const { path } of readTar(tar)) found.push(path);
    return found;
  }

  const row = (mode: string, name: string, hash: string): Buffer => Buffer.concat([Buffer.from(`${mode} ${name}\0`), Buffer.from(hash, 'hex')]);

  function commitOf(tree: string): Buffer {
    return Buffer.from(`tree ${tree}\nauthor a <a> 1 +0000\ncommitter a <a> 1 +0000\n\nx\n`);
  }

  /** A commit of one tree with what it needs. */
  function repository(tree: Buffer, ...more: Buffer[]): [string, Buffer] {
    const commit = commitOf(hashOf('tree', tree));
    return [hashOf('commit', commit), packOf([entry('commit', commit), entry('tree', tree), ...more])];
  }

  const blob = Buffer.from('content');
  const blobHash = hashOf('blob', blob);

  it('read as what they are when they are none', async () => {
    expect(await paths(...repository(row('100644', 'a', blobHash), entry('blob', blob)))).toEqual(['a']);
  });

  it.each(['..', '.', 'a/b', '../../etc/passwd', ''])('may not name a file %j', async (name) => {
    await expect(paths(...repository(row('100644', name, blobHash), entry('blob', blob)))).rejects.toMatchObject({ code: 'protocol_violation' });
  });

  it('end when a tree holds itself a million times over', async () => {
    const trees: Buffer[] = [row('100644', 'a', blobHash)];
    for (let level = 0; level < 12; level += 1) {
      const below = hashOf('tree', trees.at(-1) ?? blob);
      trees.push(Buffer.concat(Array.from({ length: 10 }, (_, name) => row('40000', `d${name}`, below))));
    }
    const top = trees.pop() ?? blob;
    await expect(paths(...repository(top, entry('blob', blob), ...trees.map((tree) => entry('tree', tree))), { objects: 5000 })).rejects.toMatchObject({ code: 'resource_exhausted' });
  }, 60_000);

  it('end when a few bytes inflate without end', async () => {
    const [commit, pack] = repository(row('100644', 'a', blobHash), entry('blob', Buffer.alloc(64 * 1024 * 1024)));
    await expect(paths(commit, pack, { bytes: 1024 * 1024 })).rejects.toMatchObject({ code: 'resource_exhausted' });
    // It says that it is small.
    await expect(paths(...repository(row('100644', 'a', blobHash), entry('blob', Buffer.alloc(64 * 1024 * 1024), { size: 10 })))).rejects.toMatchObject({ code: 'protocol_violation' });
    await expect(paths(...repository(row('100644', 'a', blobHash), entry('blob', Buffer.alloc(64 * 1024 * 1024), { size: 5 * 1024 * 1024 })))).rejects.toMatchObject({ code: 'protocol_violation' });
  });

  it('are read once for each delta, whatever the order of their bases', async () => {
    const delta = (base: Buffer, added: string): Buffer => Buffer.concat([Buffer.from([base.length % 128 | 0x80, base.length >> 7, (base.length + added.length) % 128 | 0x80, (base.length + added.length) >> 7, 0xb0, base.length & 255, base.length >> 8, added.length]), Buffer.from(added)]);
    let content = Buffer.from('base of all');
    const deltas: Buffer[] = [];
    for (let number = 0; number < 2000; number += 1) {
      const base = content;
      content = Buffer.concat([base, Buffer.from('x')]);
      deltas.unshift(entry('named', delta(base, 'x'), { base: hashOf('blob', base) }));
    }
    const [commit, pack] = repository(row('100644', 'a', hashOf('blob', content)), ...deltas, entry('blob', Buffer.from('base of all')));
    expect(await paths(commit, pack)).toEqual(['a']);
    await expect(paths(...repository(row('100644', 'a', blobHash), ...deltas))).rejects.toMatchObject({ code: 'protocol_violation', message: expect.stringContaining('without its base') as string });
  }, 60_000);

  it('fail in one of the known ways, wherever they are damaged', async () => {
    const [commit, pack] = repository(Buffer.concat([row('100644', 'a', blobHash), row('40000', 'd', hashOf('tree', Buffer.alloc(0)))]), entry('blob', blob), entry('tree', Buffer.alloc(0)));
    await fc.assert(
      fc.asyncProperty(fc.array(fc.tuple(fc.nat(pack.length - 21), fc.nat(255)), { minLength: 1, maxLength: 4 }), fc.nat(pack.length - 32), async (changes, cut) => {
        const damaged = Buffer.from(pack.subarray(0, pack.length - 20));
        for (const [at, value] of changes) damaged[at] = value;
        const body = cut % 3 === 0 ? damaged.subarray(0, 12 + cut) : damaged;
        try {
          await paths(commit, Buffer.concat([body, createHash('sha1').update(body).digest()]));
        } catch (error) {
          expect(isCodedError(error) && ['protocol_violation', 'resource_exhausted'].includes(error.code)).toBe(true);
        }
      }),
      { numRuns: 200 },
    );
  }, 60_000);
});
