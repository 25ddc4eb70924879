import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { linkSync, lstatSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, truncateSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { isCodedError } from '#kernel';
import { decodeName, encodeName, readTar } from './index.js';
import { fileEntry, gather, inChunks, readAll, writeAll } from './testing/archives.js';

const hash = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex');
const LONG = `${'d'.repeat(90)}/${'n'.repeat(80)}`;
const LONGER = `${'d'.repeat(90)}/${'m'.repeat(200)}`;

describe('archives of GNU tar', () => {
  let root: string;
  let tree: string;
  beforeAll(() => {
    root = mkdtempSync(join(tmpdir(), 'tar-gnu-'));
    tree = join(root, 'tree');
    mkdirSync(join(tree, 'd'.repeat(90)), { recursive: true });
    writeFileSync(join(tree, 'a'), 'hello');
    writeFileSync(join(tree, 'large'), Buffer.alloc(300_001, 'xyz'));
    writeFileSync(join(tree, LONG), 'long');
    symlinkSync('a', join(tree, 'sym'));
    linkSync(join(tree, 'a'), join(tree, 'hard'));
    writeFileSync(Buffer.concat([Buffer.from(`${tree}/`), Buffer.from([0xff, 0x41])]), 'bytes');
    utimesSync(join(tree, 'a'), 1234.5, 1234.5);
  });
  afterAll(() => {
    rmSync(root, { recursive: true, force: true });
  });

  const pack = (...args: string[]): Buffer => execFileSync('tar', ['-C', tree, '-cf', '-', ...args, '.'], { maxBuffer: 1 << 26 });

  it.each(['gnu', 'pax', 'ustar', 'v7'])('%s: every entry is as the tree has it', async (format) => {
    if (format === 'ustar' || format === 'v7') rmSync(join(tree, LONGER), { force: true });
    else writeFileSync(join(tree, LONGER), 'longer');
    const entries = await readAll(pack(`--format=${format}`, ...(format === 'v7' ? ['--exclude=*nnn*'] : [])));
    expect(entries.map(({ path }) => path)).toEqual(expect.arrayContaining(['./', './a', './sym', './hard', './\udcffA']));
    for (const entry of entries) {
      const stat = lstatSync(Buffer.concat([Buffer.from(`${tree}/`), encodeName(entry.path)]), { bigint: true });
      expect([entry.mode, entry.uid, entry.gid]).toEqual([Number(stat.mode & 0o7777n), Number(stat.uid), Number(stat.gid)]);
      expect(entry.mtimeNs).toBe(format === 'pax' ? stat.mtimeNs : (stat.mtimeNs / 1_000_000_000n) * 1_000_000_000n);
      if (entry.type === 'file') expect(hash(entry.bytes)).toBe(hash(readFileSync(Buffer.concat([Buffer.from(`${tree}/`), encodeName(entry.path)]))));
    }
    expect(entries.find(({ type }) => type === 'symlink')?.linkname).toBe('a');
    expect(entries.find(({ type }) => type === 'hardlink')?.size).toBe(0);
    expect(entries.some(({ path }) => path === `./${LONGER}`)).toBe(format === 'gnu' || format === 'pax');
  });

  it.each([['--format=gnu'], ['--format=pax', '--sparse-version=0.0'], ['--format=pax', '--sparse-version=0.1'], ['--format=pax', '--sparse-version=1.0']])(
    'sparse, %s %s',
    async (...args) => {
      const holed = join(tree, 'holed');
      writeFileSync(holed, 'head');
      for (let at = 1; at < 9; at += 1) {
        truncateSync(holed, at * 200_000);
        writeFileSync(holed, `part ${at}`, { flag: 'a' });
      }
      const entry = (await readAll(pack('-S', ...args.filter((arg) => typeof arg === 'string')))).find(({ path }) => path === './holed');
      expect(entry?.sparse?.length).toBeGreaterThan(4);
      expect(hash(entry!.bytes)).toBe(hash(readFileSync(holed)));
    },
  );

  it('are read alike whatever the chunks', async () => {
    const bytes = pack('--format=pax', '-S');
    const whole = await readAll(bytes);
    for (const sizes of [[511], [513, 1, 7], [1000]]) expect(await readAll(inChunks(bytes, ...sizes))).toEqual(whole);
  });

  it('give what has come of a file in one piece, and the rest as it comes', async () => {
    const bytes = pack('--format=pax', '-S');
    const expected = await readAll(bytes);
    for (const sizes of [[511], [513, 1, 7], [20_000], [65_536]]) {
      const found: Buffer[] = [];
      let pieces = 0;
      for await (const { content, whole } of readTar(inChunks(bytes, ...sizes))) {
        const all = whole();
        if (all === undefined) found.push(await gather(content));
        else {
          pieces += 1;
          found.push(Buffer.from(all));
          await expect(gather(content)).rejects.toMatchObject({ code: 'failed_precondition' });
        }
      }
      expect(found).toEqual(expected.map((entry) => entry.bytes));
      // Not the file with holes, nor the one that is larger than a chunk.
      expect(pieces).toBeLessThanOrEqual(expected.length - 2);
      if ((sizes[0] ?? 0) > 10_000) expect(pieces).toBeGreaterThan(0);
    }
  });

  it('and ours extract alike, long names, attributes and times included', async () => {
    const out = join(root, 'out');
    mkdirSync(out);
    const xattrs = new Map([['user.bin', Buffer.from([1, 0, 0x80, 10, 0xff])], ['user.a=b%', Buffer.from('v')]]);
    const bytes = await writeAll([fileEntry(LONGER, 'x', { mtimeNs: 1_500_000_001n, mode: 0o4755, xattrs }), fileEntry('\udcfe', 'y')]);
    execFileSync('tar', ['--xattrs', '--xattrs-include=user.*', '-C', out, '-xpf', '-'], { input: bytes });
    const again = await readAll(execFileSync('tar', ['--xattrs', '--xattrs-include=user.*', '--format=pax', '-C', out, '-cf', '-', LONGER, '.']));
    const entry = again.find(({ path }) => path === LONGER);
    expect([entry?.mtimeNs, entry?.mode, entry?.bytes.toString()]).toEqual([1_500_000_001n, 0o4755, 'x']);
    expect(new Map(entry?.xattrs)).toEqual(xattrs);
    expect(again.map(({ path }) => path)).toContain('./\udcfe');
  });

  it('mutated are refused or read, never anything else', async () => {
    const bytes = pack('--format=pax', '-S');
    const change = fc.tuple(fc.nat(bytes.length - 1), fc.nat(255));
    await fc.assert(
      fc.asyncProperty(fc.array(change, { minLength: 1, maxLength: 8 }), fc.nat(bytes.length), async (changes, length) => {
        const mutant = Buffer.from(bytes.subarray(0, length));
        for (const [at, value] of changes) if (at < length) mutant[at] = value;
        const failure: unknown = await readAll(mutant, { maxEntryBytes: 1 << 24 }).then(() => undefined, (error: unknown) => error);
        expect(failure === undefined || isCodedError(failure, 'invalid_argument')).toBe(true);
      }),
      { numRuns: 150 },
    );
  });
});

describe('what is written', () => {
  const name = fc.uint8Array({ minLength: 1, maxLength: 300 }).map((bytes) => decodeName(Buffer.from(bytes.map((byte) => (byte === 0 || byte === 0x2f ? 0x61 : byte)))));
  it('is read back the same', async () => {
    const entry = fc.record({
      path: name, uid: fc.nat(0xffff_fffe), gid: fc.nat(0xffff_fffe), mode: fc.nat(0o7777), mtimeNs: fc.bigInt({ min: -(10n ** 20n), max: 10n ** 20n }),
      bytes: fc.uint8Array({ maxLength: 1500 }), xattrs: fc.array(fc.tuple(name, fc.uint8Array({ maxLength: 50 })), { maxLength: 3 }),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(entry, { maxLength: 4 }), async (list) => {
        const inputs = list.map(({ bytes, xattrs, ...rest }) => fileEntry(rest.path, Buffer.from(bytes), { ...rest, xattrs: new Map(xattrs) }));
        const read = await readAll(await writeAll(inputs));
        expect(read.map(({ path, uid, gid, mode, mtimeNs, bytes, xattrs }) => ({ path, uid, gid, mode, mtimeNs, bytes, xattrs: new Map(xattrs) }))).toEqual(
          list.map(({ xattrs, bytes, ...rest }) => ({ ...rest, bytes: Buffer.from(bytes), xattrs: new Map(xattrs.map(([key, value]) => [key, Buffer.from(value)])) })),
        );
      }),
      { numRuns: 150 },
    );
  });
});
