import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { readTar, writeTar, type TarEntryInput } from '../tar/index.js';
import { realTrees } from './testing/trees.js';

const trees = realTrees();

/** A layer in words: what it has, what it hides. Every parent of what it has is a directory of its own. */
interface Layer {
  readonly own: ReadonlyMap<string, 'file' | 'directory'>;
  readonly whiteouts: ReadonlySet<string>;
  /** Directories; '' is the root. */
  readonly opaque: ReadonlySet<string>;
  /** Where in the archive the marks come. */
  readonly marksFirst: boolean;
}

const parentsOf = (path: string): string[] => path.split('/').map((_, depth, names) => names.slice(0, depth).join('/'));

function layerOf(files: readonly string[], directories: readonly string[], hidden: readonly string[], opaque: readonly string[], marksFirst: boolean): Layer {
  const own = new Map<string, 'file' | 'directory'>();
  for (const path of [...directories, ...files]) for (const parent of parentsOf(path)) if (parent !== '') own.set(parent, 'directory');
  for (const path of directories) own.set(path, 'directory');
  for (const path of files) if (!own.has(path)) own.set(path, 'file');
  const isDirectory = (path: string): boolean => path === '' || own.get(path) === 'directory';
  return {
    own,
    whiteouts: new Set(hidden.filter((path) => isDirectory(parentsOf(path).at(-1) ?? ''))),
    opaque: new Set(opaque.filter(isDirectory)),
    marksFirst,
  };
}

/** What a stack shows, by the image specification's words: layer.md, "Applying Changesets" and "Whiteouts". */
function shown(layers: readonly Layer[]): Map<string, 'file' | 'directory'> {
  let below = new Map<string, 'file' | 'directory'>();
  for (const { own, whiteouts, opaque } of layers) {
    const kept = [...below].filter(([path]) => {
      const line = [...parentsOf(path).filter((parent) => parent !== ''), path];
      if (line.some((one) => whiteouts.has(one) || own.get(one) === 'file')) return false;
      return !parentsOf(path).some((parent) => opaque.has(parent));
    });
    below = new Map([...kept, ...own]);
  }
  return below;
}

function entriesOf({ own, whiteouts, opaque, marksFirst }: Layer): TarEntryInput[] {
  const base = { mode: 0o755, uid: 0, gid: 0, mtimeNs: 0n };
  const paths = [...own].sort(([a], [b]) => (a < b ? -1 : 1)).map(([path, type]): TarEntryInput => ({ ...base, path, type }));
  const prefix = (directory: string): string => (directory === '' ? '' : `${directory}/`);
  const marks = [
    ...Array.from(whiteouts, (path): TarEntryInput => ({ ...base, type: 'file', path: `${prefix(parentsOf(path).at(-1) ?? '')}.wh.${path.slice(path.lastIndexOf('/') + 1)}` })),
    ...Array.from(opaque, (path): TarEntryInput => ({ ...base, type: 'file', path: `${prefix(path)}.wh..wh..opq` })),
  ];
  // A mark that comes first makes its directory, which the archive names later.
  return marksFirst ? [...marks, ...paths] : [...paths, ...marks];
}

const names = async (tar: AsyncIterable<Buffer>): Promise<Map<string, string>> => {
  const found = new Map<string, string>();
  for await (const { path, type } of readTar(tar)) if (path !== './') found.set(path.replace(/\/$/, ''), type);
  return found;
};

describe('stacks of layers', () => {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'stacks-'));
  });
  afterEach(() => {
    rmSync(folder, { recursive: true, force: true });
  });

  it('show what the image specification says, and so do layers made of them again', async () => {
    const path = fc.array(fc.constantFrom('a', 'b'), { minLength: 1, maxLength: 3 }).map((steps) => steps.join('/'));
    const paths = fc.array(path, { maxLength: 3 });
    const marks = fc.oneof({ weight: 3, arbitrary: fc.constant<string[]>([]) }, fc.array(fc.oneof(path, fc.constant('')), { maxLength: 2 }));
    const layer = fc.tuple(paths, paths, paths, marks, fc.boolean()).map((words) => layerOf(...words));
    let run = 0;
    await fc.assert(
      fc.asyncProperty(fc.array(layer, { minLength: 2, maxLength: 4 }), async (layers) => {
        run += 1;
        const lowerDirs: string[] = [];
        const again: string[] = [];
        for (const [depth, one] of layers.entries()) {
          const [root, copy] = [join(folder, `${run}-${depth}`), join(folder, `${run}-${depth}-copy`)];
          mkdirSync(root);
          mkdirSync(copy);
          await trees.extract({ root, tar: writeTar(entriesOf(one)), as: 'layer', lowerDirs });
          await trees.extract({ root: copy, tar: trees.pack({ source: { kind: 'directory', path: root }, as: 'layer' }), as: 'layer', lowerDirs: again });
          lowerDirs.unshift(root);
          again.unshift(copy);
        }
        const wanted = shown(layers);
        const told = await names(trees.pack({ source: { kind: 'overlay', lowerDirs }, as: 'files' }));
        expect([...told].sort()).toEqual([...wanted].sort());
        expect(await names(trees.pack({ source: { kind: 'overlay', lowerDirs: again }, as: 'files' }))).toEqual(told);
      }),
      { numRuns: 40 },
    );
  }, 60_000);

  it('with a writable layer are read while a container writes to it', async () => {
    const [lower, upperDir, work, merged] = ['lower', 'upper', 'work', 'merged'].map((name) => join(folder, name)) as [string, string, string, string];
    for (const dir of [lower, upperDir, work, merged]) mkdirSync(dir);
    writeFileSync(join(lower, 'gone'), '');
    writeFileSync(join(lower, 'changed'), 'old');
    execFileSync('mount', ['-t', 'overlay', '-o', `lowerdir=${lower},upperdir=${upperDir},workdir=${work}`, 'overlay', merged]);
    try {
      rmSync(join(merged, 'gone'));
      writeFileSync(join(merged, 'changed'), 'new');
      writeFileSync(join(merged, 'added'), '');
      const source = { kind: 'overlay', lowerDirs: [lower], upperDir } as const;
      expect([...(await names(trees.pack({ source, as: 'files' }))).keys()]).toEqual(['added', 'changed']);
      expect([...(await names(trees.pack({ source, as: 'layer' }))).keys()]).toEqual(['added', 'changed', '.wh.gone']);
      expect((await trees.changes(source)).map(({ path, kind }) => `${kind} ${path}`)).toEqual(['added /added', 'modified /changed', 'deleted /gone']);
    } finally {
      execFileSync('umount', [merged]);
    }
  });
});
