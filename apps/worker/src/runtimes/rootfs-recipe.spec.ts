import { execFileSync } from 'node:child_process';
import { mmdebstrapArguments, packageSet, rootfsImageName, type RootfsRecipe } from './rootfs-recipe.js';
import { tarDirectoryEntry } from './tar-directory-entry.js';

const SOURCES = { suite: 'bookworm', lines: ['deb http://user:secret@mirror.example/debian bookworm main'], publicLines: ['deb http://deb.debian.org/debian bookworm main'] };
const RECIPE: RootfsRecipe = { sources: SOURCES, aptOptions: [], base: undefined, packages: [] };

describe('the recipe of a root file system', () => {
  it('names the image of a set, whatever the order and how often a package is named', () => {
    const name = rootfsImageName('bookworm', packageSet(['gcc', 'g++']));
    expect(rootfsImageName('bookworm', packageSet(['g++', 'gcc', 'g++']))).toBe(name);
    expect(name).toMatch(/^runtime\/[0-9a-f]{16}$/);
    expect(rootfsImageName('trixie', packageSet(['gcc', 'g++']))).not.toBe(name);
    expect(rootfsImageName('bookworm', packageSet(['gcc']))).not.toBe(name);
  });

  it('makes the minimal system, and the others on top of it', () => {
    expect(mmdebstrapArguments(RECIPE)).toContain('--variant=minbase');
    const args = mmdebstrapArguments({ ...RECIPE, base: '/data/fs', packages: ['g++', 'gcc'] });
    expect(args).toContain('--variant=custom');
    expect(args).toContain('--include=g++,gcc');
  });

  it('hooks are shell that parses, for folders with blanks and quotes too', () => {
    const args = mmdebstrapArguments({ ...RECIPE, base: "/var/lib/it's \"mine\" $(touch /tmp/x)/fs" });
    const hooks = args.filter((arg) => arg.includes('-hook=')).map((arg) => arg.slice(arg.indexOf('=') + 1));
    expect(hooks).toHaveLength(2);
    for (const hook of hooks) execFileSync('sh', ['-n', '-c', hook]);
    expect(hooks[0]).toContain(`'/var/lib/it'\\''s "mine" $(touch /tmp/x)/fs/.'`);
  });

  it('leaves nothing of the machine’s mirror in the image', () => {
    const customize = mmdebstrapArguments(RECIPE).find((arg) => arg.startsWith('--customize-hook='));
    expect(customize).toContain("'deb http://deb.debian.org/debian bookworm main' > \"$1/etc/apt/sources.list\"");
    expect(customize).not.toContain('secret');
  });

  it('writes a directory entry that tar understands', () => {
    const tar = Buffer.concat([tarDirectoryEntry('./dev/', 1_000_000_000), Buffer.alloc(1024)]);
    const listing = execFileSync('tar', ['-tvf', '-'], { input: tar, env: { PATH: '/usr/bin:/bin', TZ: 'UTC', LC_ALL: 'C' } }).toString();
    expect(listing.trim().split(/\s+/)).toEqual(['drwxr-xr-x', '0/0', '0', '2001-09-09', '01:46', './dev/']);
  });
});
