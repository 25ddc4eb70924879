import { execFileSync } from 'node:child_process';
import { mmdebstrapArguments, type DebianRecipe } from './debian-recipe.js';
import { tarDirectoryEntry } from './tar-directory-entry.js';

const SOURCES = { suite: 'bookworm', lines: ['deb http://user:secret@mirror.example/debian bookworm main'], imageLines: ['deb http://deb.debian.org/debian bookworm main'] };
const RECIPE: DebianRecipe = { sources: SOURCES, aptOptions: [] };
const hookOf = (recipe: DebianRecipe): string => mmdebstrapArguments(recipe).find((arg) => arg.startsWith('--customize-hook='))?.slice('--customize-hook='.length) ?? '';

describe('the recipe of a minimal Debian', () => {
  it('has a hook that is shell', () => {
    execFileSync('sh', ['-n', '-c', hookOf({ ...RECIPE, aptOptions: ['Acquire::Check-Valid-Until "it\'s";'] })]);
  });

  it('leaves nothing of a mirror’s password or of a proxy in the image', () => {
    const hook = hookOf({ ...RECIPE, aptOptions: ['Acquire::http::Proxy "http://me:secret@proxy.example";', 'Acquire::Check-Valid-Until "false";'] });
    expect(hook).toContain("'deb http://deb.debian.org/debian bookworm main' > \"$1/etc/apt/sources.list\"");
    expect(hook).toContain('\'Acquire::Check-Valid-Until "false";\'');
    expect(hook).not.toContain('secret');
  });

  it('knows whom to trust when the mirrors are fetched over TLS', () => {
    expect(mmdebstrapArguments(RECIPE).join(' ')).not.toContain('ca-certificates');
    expect(mmdebstrapArguments({ ...RECIPE, sources: { ...SOURCES, imageLines: ['deb https://mirror.example/debian bookworm main'] } })).toContain('--include=ca-certificates');
  });

  it('writes a directory entry that tar understands', () => {
    const tar = Buffer.concat([tarDirectoryEntry('./dev/', 1_000_000_000), Buffer.alloc(1024)]);
    const listing = execFileSync('tar', ['-tvf', '-'], { input: tar, env: { PATH: '/usr/bin:/bin', TZ: 'UTC', LC_ALL: 'C' } }).toString();
    expect(listing.trim().split(/\s+/)).toEqual(['drwxr-xr-x', '0/0', '0', '2001-09-09', '01:46', './dev/']);
  });
});
