import fc from 'fast-check';
import { decodeNode } from './frame-fields.js';
import { encodeNode, NODE_TYPES, type TreeNode } from './frames.js';

const u32 = fc.integer({ min: 0, max: 0xffff_fffe });
const name = fc.string({ unit: 'binary-ascii' }).map((text) => text.replaceAll('\0', ''));
const node: fc.Arbitrary<TreeNode> = fc.record({
  type: fc.constantFrom(...NODE_TYPES),
  path: name,
  mode: fc.integer({ min: 0, max: 0o7777 }),
  uid: u32,
  gid: u32,
  size: fc.integer({ min: 0, max: 2 ** 40 }),
  mtimeNs: fc.bigInt({ min: -(10n ** 20n), max: 10n ** 20n }),
  linkname: name,
  devmajor: u32,
  devminor: u32,
  xattrs: fc.array(fc.tuple(name, fc.uint8Array().map((bytes) => Buffer.from(bytes)))).map((pairs) => new Map(pairs)),
});

describe('the frame of a node', () => {
  it('says everything about it', () => {
    fc.assert(
      fc.property(node, (one) => {
        const frame = encodeNode(one);
        expect(frame.readUInt32LE(0)).toBe(frame.length - 4);
        expect(decodeNode(frame.subarray(5))).toEqual(one);
      }),
    );
  });

  it('keeps names that are no UTF-8', () => {
    const [path, linkname] = [`caf${String.fromCharCode(0xdce9)}`, 'ü\n'];
    const one: TreeNode = { type: 'symlink', path, linkname, mode: 0, uid: 0, gid: 0, size: 0, mtimeNs: -1n, devmajor: 0, devminor: 0, xattrs: new Map() };
    expect(decodeNode(encodeNode(one).subarray(5))).toEqual(one);
  });

  it('that is cut short is refused', () => {
    const frame = encodeNode({ type: 'file', path: 'a', linkname: '', mode: 0, uid: 0, gid: 0, size: 0, mtimeNs: 0n, devmajor: 0, devminor: 0, xattrs: new Map([['user.a', Buffer.from('b')]]) });
    for (let size = 0; size < 12; size += 1) expect(() => decodeNode(frame.subarray(5, frame.length - 1 - size))).toThrow();
  });
});
