import { isCodedError } from '#kernel';
import { readTar, type ReadTarOptions } from './index.js';
import { archive, END, fileEntry, gather, inChunks, paxBody, rawEntry, readAll, writeAll } from './testing/archives.js';

const good = rawEntry({ name: 'good', body: 'bytes' });
const pax = (...records: (readonly [string, string | Buffer])[]): Buffer => rawEntry({ name: 'x', typeflag: 'x', body: paxBody(...records) });
const base256 = (...bytes: number[]): Buffer => Buffer.from([...Array.from({ length: 12 - bytes.length }, (_, at) => (at === 0 ? 0x80 : 0)), ...bytes]);
const sparse10 = (map: string, realsize = '4096'): Buffer =>
  Buffer.concat([
    pax(['GNU.sparse.major', '1'], ['GNU.sparse.minor', '0'], ['GNU.sparse.name', 's'], ['GNU.sparse.realsize', realsize]),
    rawEntry({ name: 's', body: Buffer.concat([Buffer.from(map), Buffer.alloc(512 - map.length), Buffer.alloc(512, 1)]) }),
  ]);
const sparse01 = (map: string, blocks: string, stored = 4): Buffer =>
  Buffer.concat([pax(['GNU.sparse.size', '100'], ['GNU.sparse.numblocks', blocks], ['GNU.sparse.map', map]), rawEntry({ name: 's', body: 'x'.repeat(stored) })]);

describe('an archive that is', () => {
  const cases: [string, Buffer, RegExp, ReadTarOptions?][] = [
    ['empty', Buffer.alloc(0), /closing zero blocks/],
    ['cut in a header', good.subarray(0, 300), /cut short/],
    ['cut in a body', good.subarray(0, 514), /cut short/],
    ['cut in the padding', good.subarray(0, 1000), /cut short/],
    ['cut before its end', good, /closing zero blocks/],
    ['cut after one zero block', Buffer.concat([good, Buffer.alloc(512)]), /closing zero blocks/],
    ['cut behind an extended header', archive(pax(['path', 'p'])), /between an extended header/],
    ['cut behind an extended header, and may be', pax(['path', 'p']), /between an extended header/, { allowMissingEnd: true }],
    ['interrupted by a zero block', archive(good, Buffer.alloc(512), good), /zero block stands/],
    ['noise', Buffer.alloc(2048, 0xa5), /checksum/],
    ['wrong in its checksum', archive(Buffer.concat([Buffer.from('h'), good.subarray(1)])), /checksum/],
    ['absurd in its size', archive(rawEntry({ patch: [[124, base256(0x20, 0, 0, 0, 0, 0, 0)]] })), /size is out of range/],
    ['absurd in all its size', archive(rawEntry({ patch: [[124, Buffer.from([0xbf, ...Array<number>(11).fill(0xff)])]] })), /size is out of range/],
    ['negative in its size', archive(rawEntry({ patch: [[124, Buffer.alloc(12, 0xff)]] })), /size is negative/],
    ['larger than allowed', archive(rawEntry({ patch: [[124, base256(0x01, 0, 0, 0, 0, 1)]] })), /more than 1099511627776 bytes/],
    ['not octal', archive(rawEntry({ patch: [[124, '0000000009a\0']] })), /size is not a number/],
    ['owned by nobody there can be', archive(rawEntry({ patch: [[108, Buffer.from([0x80, 0, 0, 0, 0xff, 0xff, 0xff, 0xff])]] })), /uid is out of range/],
    ['owned by -1', archive(pax(['uid', '-1']), good), /uid is not a number/],
    ['of an unknown type', archive(rawEntry({ typeflag: 'D' })), /type "D" is unknown/],
    ['nameless', archive(rawEntry({ name: '' })), /path is empty/],
    ['a link to nothing', archive(rawEntry({ typeflag: '2' })), /link name is empty/],
    ['a directory with a body', archive(rawEntry({ typeflag: '5', body: 'x' })), /directory with a body/],
    ['a hard link with a body', archive(rawEntry({ typeflag: '1', linkname: 'l', body: 'x' })), /hardlink with a body/],
    ['a symlink with a body by PAX', archive(pax(['size', '512']), rawEntry({ typeflag: '2', linkname: 'l' }), good), /symlink with a body/],
    ['a PAX path with NUL', archive(pax(['path', 'a\0b']), good), /path holds NUL/],
    ['a PAX link with NUL', archive(pax(['linkpath', 'a\0b']), rawEntry({ typeflag: '2', linkname: 'l' })), /link name holds NUL/],
    ['a PAX user with NUL', archive(pax(['uname', 'a\0b']), good), /uname holds NUL/],
    ['a long name with more behind NUL', archive(rawEntry({ typeflag: 'L', body: 'a\0b' }), good), /after its NUL/],
    ['twice a long name', archive(rawEntry({ typeflag: 'L', body: 'a' }), rawEntry({ typeflag: 'L', body: 'b' }), good), /two long names/],
    ['twice extended', archive(pax(['path', 'a']), pax(['path', 'b']), good), /two extended headers/],
    ['a record without length', archive(rawEntry({ typeflag: 'x', body: ' path=a\n' }), good), /has no length/],
    ['a record of endless length', archive(rawEntry({ typeflag: 'x', body: `${'9'.repeat(40)} path=a\n` }), good), /has no length/],
    ['a record too long', archive(rawEntry({ typeflag: 'x', body: '99 path=a\n' }), good), /longer than its header/],
    ['a record too short', archive(rawEntry({ typeflag: 'x', body: '9 path=ab\n' }), good), /does not end where/],
    ['a record of nothing', archive(rawEntry({ typeflag: 'x', body: '0 path=a\n' }), good), /does not end where/],
    ['a record without key', archive(rawEntry({ typeflag: 'x', body: '5 =a\n' }), good), /no keyword/],
    ['a record without equals', archive(rawEntry({ typeflag: 'x', body: '7 path\n' }), good), /no keyword/],
    ['a keyword said twice', archive(pax(['path', 'a'], ['path', 'b']), good), /says "path" twice/],
    ['a PAX size that is none', archive(pax(['size', '1e3']), good), /size is not a number/],
    ['a PAX size beyond 2^53', archive(pax(['size', '9007199254740993']), good), /size is out of range/],
    ['a PAX time that is none', archive(pax(['mtime', '1.2.3']), good), /mtime is not a time/],
    ['a nameless attribute', archive(pax(['SCHILY.xattr.', 'v']), good), /no proper name/],
    ['an attribute that is not base64', archive(pax(['LIBARCHIVE.xattr.user.a', '!']), good), /not base64/],
    ['an attribute of two values', archive(pax(['LIBARCHIVE.xattr.user.a', 'AAAA'], ['SCHILY.xattr.user.a', 'v']), good), /two values/],
    ['a global path', archive(rawEntry({ typeflag: 'g', body: paxBody(['path', 'p']) }), good), /global header sets the path/],
    ['a header bomb', archive(rawEntry({ typeflag: 'x', patch: [[124, base256(0x7f, 0xff, 0xff, 0xff)]] }), good), /longer than 1048576/],
    ['a long name bomb', archive(rawEntry({ typeflag: 'L', patch: [[124, base256(0x7f, 0xff, 0xff, 0xff)]] }), good), /longer than 1048576/],
    ['a path too long', archive(pax(['path', 'a/'.repeat(2049)]), good), /longer than 4096 bytes/],
    ['of too many entries', archive(good, good, good), /more than 2 entries/, { maxEntries: 2 }],
    ['of too many global headers', archive(...[1, 2, 3].map(() => rawEntry({ typeflag: 'g', body: paxBody(['comment', 'c']) }))), /more than 2 entries/, { maxEntries: 2 }],
    ['a global header that costs every entry', archive(rawEntry({ typeflag: 'g', body: paxBody(['SCHILY.xattr.a', 'v'.repeat(17_000)]) }), good), /global headers hold more than 16384/],
    [
      'a bomb of many global headers',
      archive(...[1, 2, 3].map((n) => rawEntry({ typeflag: 'g', body: paxBody([`k${n}`, 'v'.repeat(400)]) }))),
      /global headers hold more than 1000/,
      { maxHeaderBytes: 1000 },
    ],
    ['sparse with an overlap', archive(sparse01('0,3,2,1', '2')), /goes back or overlaps/],
    ['sparse beyond its size', archive(sparse01('98,4', '1')), /beyond its size/],
    ['sparse with more data than stored', archive(sparse01('0,5', '1')), /not name as many bytes/],
    ['sparse with less data than stored', archive(sparse01('0,3', '1')), /not name as many bytes/],
    ['sparse with half a pair', archive(sparse01('0,3,1', '2')), /without a length/],
    ['sparse with a miscounted map', archive(sparse01('0,4', '2')), /not as long as announced/],
    ['sparse 0.0 out of turn', archive(pax(['GNU.sparse.size', '9'], ['GNU.sparse.numbytes', '1']), good), /out of order/],
    ['sparse without size', archive(pax(['GNU.sparse.map', '0,5']), good), /does not say its size/],
    ['sparse of an unknown kind', archive(pax(['GNU.sparse.major', '2'], ['GNU.sparse.minor', '0']), good), /format is unknown/],
    ['sparse 1.0 with an endless map', archive(sparse10('9999999\n0\n1\n')), /not made of numbers/],
    ['sparse 1.0 with no number', archive(sparse10('1\n0\nx\n')), /not a number/],
    ['sparse 1.0 with no line end', archive(sparse10('1'.repeat(500))), /not made of numbers|not a number/],
    ['sparse 1.0 with a lie', archive(sparse10('1\n4000\n512\n')), /beyond its size/],
    ['sparse and a link', archive(pax(['GNU.sparse.size', '9'], ['GNU.sparse.map', '9,0']), rawEntry({ typeflag: '2', linkname: 'l' })), /sparse symlink/],
    ['an unending old sparse map', archive(rawEntry({ typeflag: 'S', patch: [[257, 'ustar  \0'], [482, '\x01']] }), ...Array.from({ length: 9 }, () => Buffer.alloc(512, 1))), /not a number|longer than/],
  ];

  it.each(cases.map(([what, bytes, message, options = {}]) => [what, { bytes, message, options }] as const))('%s is refused', async (_what, { bytes, message, options }) => {
    const failure: unknown = await readAll(bytes, options).catch((error: unknown) => error);
    expect(failure).toMatchObject({ code: 'invalid_argument', message: expect.stringMatching(message), details: { entry: expect.any(Number), offset: expect.any(Number) } });
    expect(isCodedError(failure)).toBe(true);
  });

  it('refused says which entry is wrong, skipped or read', async () => {
    const bytes = archive(good, good, rawEntry({ name: '' }));
    await expect(readAll(bytes)).rejects.toMatchObject({ message: 'archive entry 3: its path is empty', details: { entry: 3, offset: 2560 } });
    const skipping = async (): Promise<void> => {
      for await (const entry of readTar(inChunks(bytes))) expect(entry.path).toBe('good');
    };
    await expect(skipping()).rejects.toMatchObject({ details: { entry: 3 } });
  });
});

describe('an archive read', () => {
  it('may lack its end where the caller vouches for its length', async () => {
    expect(await readAll(good, { allowMissingEnd: true })).toHaveLength(1);
    expect(await readAll(Buffer.concat([good, Buffer.alloc(512)]), { allowMissingEnd: true })).toHaveLength(1);
    const bare = rawEntry({ body: 'xyz' }).subarray(0, 512 + 3);
    expect(await readAll(bare, { allowMissingEnd: true })).toHaveLength(1);
    await expect(readAll(bare)).rejects.toThrow(/cut short/);
    await expect(readAll(bare.subarray(0, -1), { allowMissingEnd: true })).rejects.toThrow(/cut short/);
  });

  it('is read to the source’s end, whatever stands behind its own', async () => {
    let taken = 0;
    const bytes = Buffer.concat([archive(good), Buffer.alloc(200_000, 0x55)]);
    async function* counted(): AsyncGenerator<Buffer, void, void> {
      for await (const chunk of inChunks(bytes, 1000)) {
        taken += chunk.length;
        yield chunk;
      }
    }
    expect(await readAll(counted())).toHaveLength(1);
    expect(taken).toBe(bytes.length);
  });

  it('closes its source when the reader leaves, and passes its errors on', async () => {
    let closed = false;
    async function* watched(): AsyncGenerator<Buffer, void, void> {
      try {
        yield* inChunks(archive(good, good), 100);
      } finally {
        closed = true;
      }
    }
    for await (const entry of readTar(watched())) {
      expect(entry.path).toBe('good');
      break;
    }
    expect(closed).toBe(true);
    async function* failing(): AsyncGenerator<Buffer, void, void> {
      yield await Promise.resolve(good.subarray(0, 514));
      throw new RangeError('the disk is gone');
    }
    await expect(readAll(failing())).rejects.toThrow(RangeError);
  });

  it('lets a body be read once, and not after its time', async () => {
    const reader = readTar(inChunks(archive(good, good), 3));
    const first = (await reader.next()).value;
    if (first === undefined) throw new Error('no entry');
    const begun = first.content[Symbol.asyncIterator]();
    expect(await begun.next()).toEqual({ done: false, value: Buffer.from('b') });
    await expect(gather(first.content)).rejects.toMatchObject({ code: 'failed_precondition' });
    const second = (await reader.next()).value;
    await expect(begun.next()).rejects.toMatchObject({ code: 'failed_precondition' });
    expect((await gather(second!.content)).toString()).toBe('bytes');
    expect((await reader.next()).done).toBe(true);
  });

  it('gives a petabyte of hole no memory, and no time to who asks for the data alone', async () => {
    const size = 2 ** 40;
    const bomb = archive(pax(['GNU.sparse.size', String(size)], ['GNU.sparse.map', `${size - 4},4`]), rawEntry({ name: 's', body: 'last' }));
    for await (const entry of readTar(inChunks(bomb))) {
      const pieces = [];
      for await (const { offset, bytes } of entry.data) pieces.push([offset, bytes.toString()]);
      expect([entry.size, pieces]).toEqual([size, [[size - 4, 'last']]]);
    }
  });
});

describe('an entry to write that is', () => {
  it.each([
    ['without path', { path: '' }, /path is empty/],
    ['with NUL in its path', { path: 'a\0' }, /holds NUL/],
    ['of too long a path', { path: 'a'.repeat(4097) }, /longer than 4096/],
    ['a file called like a directory', { path: 'a/' }, /ends like a directory/],
    ['a symlink to nothing', { type: 'symlink', size: 0 }, /link name is empty/],
    ['a directory with a body', { type: 'directory' }, /directory with a body/],
    ['shorter than it says', { size: 6 }, /ends after 5 of 6/],
    ['longer than it says', { size: 4 }, /longer than its size, 4/],
    ['without the content it says', { content: [] }, /ends after 0 of 5/],
    ['of a negative size', { size: -1 }, /size is out of range/],
    ['of a fractional owner', { uid: 1.5 }, /uid is out of range/],
    ['owned by -1', { gid: 0xffff_ffff }, /gid is out of range/],
    ['of a mode with a type in it', { mode: 0o100644 }, /mode is out of range/],
    ['of no time', { mtimeNs: 1n << 90n }, /mtime is out of range/],
    ['with a nameless attribute', { xattrs: new Map([['', Buffer.from('v')]]) }, /no proper name/],
    ['with too large an attribute', { xattrs: new Map([['user.a', Buffer.alloc(1 << 20)]]) }, /longer than 1048576/],
    ['of a name no bytes decode to', { path: '\ud800' }, /surrogates/],
  ] as const)('%s is refused', async (_what, more, message) => {
    await expect(writeAll([fileEntry('f', 'bytes', more)])).rejects.toMatchObject({ code: 'invalid_argument', message: expect.stringMatching(message) });
  });

  it('right ends in two zero blocks and nothing else', async () => {
    const bytes = await writeAll([fileEntry('f', 'bytes')]);
    expect(bytes.length).toBe(2048);
    expect(bytes.subarray(1024).equals(END)).toBe(true);
    expect(await writeAll([])).toEqual(END);
  });
});
