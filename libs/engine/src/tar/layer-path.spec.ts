import { classifyLayerPath, isLayerName, opaquePathOf, whiteoutPathOf } from './index.js';

describe('a path in a layer', () => {
  it.each([
    ['a', 'entry', 'a'],
    ['./a//b/', 'entry', 'a/b'],
    ['a/./b', 'entry', 'a/b'],
    ['./', 'entry', ''],
    ['..a/b..', 'entry', '..a/b..'],
    ['a/.whx', 'entry', 'a/.whx'],
    ['.wh.a', 'whiteout', 'a'],
    ['./d//.wh.a', 'whiteout', 'd/a'],
    ['d/.wh.a/', 'whiteout', 'd/a'],
    ['.wh..a', 'whiteout', '.a'],
    ['.wh....', 'whiteout', '...'],
    ['.wh..wh.', 'invalid', undefined],
    ['.wh..wh..opq', 'opaque', ''],
    ['a/b/.wh..wh..opq', 'opaque', 'a/b'],
    ['.wh..wh..plnk', 'reserved', '.wh..wh..plnk'],
    ['.wh..wh.plnk/12.34', 'reserved', '.wh..wh.plnk/12.34'],
    ['a/.wh..wh.orph', 'reserved', 'a/.wh..wh.orph'],
    ['.wh..wh..opq/a', 'reserved', '.wh..wh..opq/a'],
    ['.wh.', 'invalid', undefined],
    ['a/.wh.', 'invalid', undefined],
    ['a/.wh..', 'invalid', undefined],
    ['a/.wh...', 'invalid', undefined],
    ['.wh.a/b', 'invalid', undefined],
    ['', 'invalid', undefined],
    ['a\0b', 'invalid', undefined],
    ['/a', 'unsafe', undefined],
    ['/', 'unsafe', undefined],
    ['..', 'unsafe', undefined],
    ['a/../b', 'unsafe', undefined],
    ['a/..', 'unsafe', undefined],
    ['../.wh.a', 'unsafe', undefined],
    ['.wh.a/../../b', 'unsafe', undefined],
  ])('%j is %s', (path, kind, meaning) => {
    const found = classifyLayerPath(path);
    expect([found.kind, 'path' in found ? found.path : undefined]).toEqual([kind, meaning]);
  });

  it.each(['a', 'a/b', '...', 'd/.hidden'])('%j hidden reads back as hidden', (path) => {
    expect(classifyLayerPath(whiteoutPathOf(path))).toEqual({ kind: 'whiteout', path });
  });

  it.each(['', 'a', 'a/b'])('%j made opaque reads back as opaque', (path) => {
    expect(classifyLayerPath(opaquePathOf(path))).toEqual({ kind: 'opaque', path });
  });

  it('may not begin like a whiteout', () => {
    expect([isLayerName('.wh.a'), isLayerName('.wh'), isLayerName('a.wh.')]).toEqual([false, true, true]);
  });
});
