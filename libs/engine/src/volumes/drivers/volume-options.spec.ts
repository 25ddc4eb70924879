import fc from 'fast-check';
import { CodedError } from '#kernel';
import { parseByteSize } from './byte-size.js';
import { assertVolumeName, pathInHostTree } from './volume-names.js';
import { parseVolumeOptions } from './volume-options.js';

const MiB = 1024 ** 2;

describe('options of volumes', () => {
  it.each([
    [{}, { kind: 'directory' }],
    [{ o: '' }, { kind: 'directory' }],
    [{ size: '1g' }, { kind: 'partition', sizeBytes: 1024 * MiB }],
    [{ o: 'size=64m' }, { kind: 'partition', sizeBytes: 64 * MiB }],
    [{ type: 'tmpfs', device: 'tmpfs' }, { kind: 'tmpfs', sizeBytes: 1024 * MiB, mode: 0o1777 }],
    [{ type: 'tmpfs', device: 'tmpfs', o: 'size=100m,mode=700' }, { kind: 'tmpfs', sizeBytes: 100 * MiB, mode: 0o700 }],
    [{ type: 'none', o: 'bind', device: '/x' }, { kind: 'bind', path: '/x' }],
    [{ type: 'none', o: 'rw,bind', device: '/' }, { kind: 'bind', path: '/' }],
  ])('%j is %j', (options, kind) => {
    expect(parseVolumeOptions(options as unknown as Record<string, string>)).toEqual(kind);
  });

  it.each([
    [{ tardis: 'blue' }, 'invalid option: "tardis"'],
    [{ __proto__x: '' }, 'invalid option: "__proto__x"'],
    [{ type: 'tmpfs' }, 'missing required option: "device"'],
    [{ device: '/x' }, 'missing required option: "type"'],
    [{ type: 'none', device: '/x' }, 'missing required option: "o=bind"'],
    [{ type: 'none', o: 'bind', device: 'x/../..' }, 'not an absolute path'],
    [{ type: 'none', o: 'bind,suid', device: '/x' }, 'invalid mount option: "suid"'],
    [{ type: 'nfs', device: ':/x', o: 'addr=10.0.0.1' }, 'failed to mount local volume: mount :/x: file systems of type "nfs" are not available'],
    [{ type: 'ext4', device: '/dev/sda1' }, 'are not available'],
    [{ type: 'overlay', device: 'overlay', o: 'lowerdir=/' }, 'are not available'],
    [{ type: 'tmpfs', device: 'tmpfs', o: 'uid=0' }, 'invalid mount option: "uid"'],
    [{ type: 'tmpfs', device: 'tmpfs', o: 'mode=9' }, 'invalid mode: "9"'],
    [{ size: '-1' }, 'invalid size: "-1"'],
    [{ size: '0' }, 'invalid size: "0"'],
    [{ size: '9999999p' }, 'invalid size'],
    [{ o: 'size=1e9' }, 'invalid size'],
  ])('%j is refused: %s', (options, text) => {
    expect(() => parseVolumeOptions(options as unknown as Record<string, string>)).toThrow(expect.objectContaining({ code: 'invalid_argument', message: expect.stringContaining(text) as string }));
  });

  it('answer anything with a kind or a refusal', () => {
    const text = fc.oneof(fc.string(), fc.constantFrom('tmpfs', 'none', 'bind', 'size=1g', '/', 'mode=1'));
    fc.assert(
      fc.property(fc.dictionary(fc.oneof(fc.constantFrom('type', 'o', 'device', 'size'), fc.string()), text), (options) => {
        try {
          expect(parseVolumeOptions(options).kind).toMatch(/^(directory|partition|tmpfs|bind)$/);
        } catch (error) {
          expect(error).toBeInstanceOf(CodedError);
        }
      }),
    );
  });
});

describe('sizes', () => {
  it.each([['4096', 4096], ['1k', 1024], ['64M', 64 * MiB], ['1.5GiB', 1536 * MiB], ['100kb', 102_400], ['2 g', 2048 * MiB], ['7b', 7]])('%s is %d bytes', (text, bytes) => {
    expect(parseByteSize(text)).toBe(bytes);
  });
  it.each(['', 'k', '1x', '-5', '1.2.3', '0x10', '1kk', 'NaN', '١', '9'.repeat(400)])('%j is none', (text) => {
    expect(parseByteSize(text)).toBeUndefined();
  });
});

describe('names', () => {
  it.each(['ab', 'A.b_c-9', '0'.repeat(64), 'x'.repeat(255)])('%s is one', (name) => {
    expect(() => {
      assertVolumeName(name);
    }).not.toThrow();
  });
  it.each(['a', '.a', '-a', 'a/b', '../x', 'a b', 'a\n', 'ä1', 'x'.repeat(256), 'a\0'])('%j is none', (name) => {
    expect(() => {
      assertVolumeName(name);
    }).toThrow(expect.objectContaining({ code: 'invalid_argument' }));
  });
});

describe('paths of the host tree', () => {
  it.each([['/', ''], ['/a//b/./c/', 'a/b/c'], ['/../../etc', 'etc'], ['/a/../../b', 'b'], ['/a/..', '']])('%s is %j', (path, inside) => {
    expect(pathInHostTree(path)).toBe(inside);
  });
  it.each(['', 'a', './a', '/a\0b', `/${'x'.repeat(4095)}`])('%j is refused', (path) => {
    expect(() => pathInHostTree(path)).toThrow(expect.objectContaining({ code: 'invalid_argument' }));
  });
  it('never leave it', () => {
    fc.assert(
      fc.property(fc.array(fc.constantFrom('..', '.', '', 'a', '...', '..a'), { maxLength: 12 }), (parts) => {
        const inside = pathInHostTree(`/${parts.join('/')}`);
        expect(inside.startsWith('/')).toBe(false);
        expect(inside.split('/')).not.toContain('..');
      }),
    );
  });
});
