import { mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { execFileSync } from 'node:child_process';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { copyEndOf, meansContents, targetOf } from './copy-paths.js';
import { packFolder, unpackInto } from './local-tar.js';

describe('the ends of a copy', () => {
  it.each<[string, ReturnType<typeof copyEndOf>]>([
    ['web:/etc/hosts', { where: 'sandbox', sandbox: 'web', path: '/etc/hosts' }],
    ['web:etc/hosts', { where: 'sandbox', sandbox: 'web', path: '/etc/hosts' }],
    ['web:/a:b', { where: 'sandbox', sandbox: 'web', path: '/a:b' }],
    ['./web:x', { where: 'here', path: './web:x' }],
    ['/tmp/web:x', { where: 'here', path: '/tmp/web:x' }],
    ['dir/web:x', { where: 'here', path: 'dir/web:x' }],
    ['file', { where: 'here', path: 'file' }],
    ['-', { where: 'here', path: '-' }],
  ])('%s', (text, end) => {
    expect(copyEndOf(text)).toEqual(end);
  });

  it('need a path in the sandbox', () => {
    expect(() => copyEndOf('web:')).toThrow('give SANDBOX:/path');
  });

  it('lead into a folder, or to a new name', () => {
    expect([targetOf('/work', 'a.txt', true), targetOf('/work/b.txt', 'a.txt', false)]).toEqual(['/work/a.txt', '/work/b.txt']);
    expect([meansContents('dir/.'), meansContents('.'), meansContents('dir'), meansContents('a.')]).toEqual([true, true, false, false]);
  });
});

describe('folders as tars', () => {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'copy-'));
    mkdirSync(join(folder, 'from', 'deep'), { recursive: true });
    mkdirSync(join(folder, 'to'));
    writeFileSync(join(folder, 'from', 'deep', 'a'), 'hello', { mode: 0o755 });
  });
  afterEach(() => {
    rmSync(folder, { recursive: true });
  });
  const tarOf = (...args: string[]): AsyncIterable<Uint8Array> => (async function* () { yield await Promise.resolve(execFileSync('tar', ['-C', folder, '-cf', '-', ...args])); })();

  it('go and come whole', async () => {
    await unpackInto(join(folder, 'to'), packFolder(join(folder, 'from')));
    expect(readFileSync(join(folder, 'to', 'deep', 'a'), 'utf8')).toBe('hello');
    expect(statSync(join(folder, 'to', 'deep', 'a')).mode & 0o100).toBe(0o100);
  });

  it('do not leave the folder, and belong to who unpacks them', async () => {
    execFileSync('ln', ['-s', '/', join(folder, 'from', 'out')]);
    await unpackInto(join(folder, 'to'), tarOf('--owner=12345', '--transform=s,^from/deep/a,from/out/tmp/through-a-link,', 'from/out', 'from/deep/a')).catch(() => undefined);
    await unpackInto(join(folder, 'to'), tarOf('-P', '--transform=s,^from/deep/a,../escaped,', 'from/deep/a')).catch(() => undefined);
    await unpackInto(join(folder, 'to'), tarOf('--owner=12345', 'from/deep')).catch(() => undefined);
    expect(readdirSync(folder).sort()).toEqual(['from', 'to']);
    expect(readdirSync(tmpdir())).not.toContain('through-a-link');
    expect(statSync(join(folder, 'to', 'from', 'deep', 'a')).uid).toBe(process.getuid?.());
  });

  it('say what was wrong', async () => {
    await expect(unpackInto(join(folder, 'to'), (async function* () { yield await Promise.resolve(Buffer.from('x'.repeat(2000))); })())).rejects.toThrow(/cannot be written/);
    await expect((async () => { for await (const chunk of packFolder(join(folder, 'absent'))) expect(chunk.length).toBe(0); })()).rejects.toThrow(/cannot be read/);
    await expect(unpackInto(join(folder, 'to'), (async function* (): AsyncGenerator<Buffer> { yield await Promise.resolve(Buffer.alloc(512)); throw new Error('the connection broke'); })())).rejects.toThrow('the connection broke');
  });
});
