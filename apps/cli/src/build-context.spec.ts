import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { readTar } from '#engine';
import { localContext } from './build-context.js';

describe('the context of a build', () => {
  let folder: string;

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'build-context-'));
  });
  afterEach(() => rm(folder, { recursive: true }));

  async function files(contents: Readonly<Record<string, string>>): Promise<void> {
    for (const [path, text] of Object.entries(contents)) {
      await mkdir(dirname(join(folder, path)), { recursive: true });
      await writeFile(join(folder, path), text);
    }
  }
  async function packed(file?: string | { text: string }, where = folder): Promise<{ dockerfile: string | undefined; entries: Map<string, { uid: number; type: string; text: string }> }> {
    const { dockerfile, tar } = await localContext(where, file);
    const entries = new Map<string, { uid: number; type: string; text: string }>();
    for await (const entry of readTar(tar)) {
      const chunks: Buffer[] = [];
      for await (const chunk of entry.content) chunks.push(Buffer.from(chunk));
      entries.set(entry.path.replace(/\/$/, ''), { uid: entry.uid, type: entry.type, text: Buffer.concat(chunks).toString() });
    }
    return { dockerfile, entries };
  }

  it('holds what .dockerignore leaves in, and the files that the server reads whatever it says', async () => {
    await files({ Dockerfile: 'FROM x', '.dockerignore': '*\n!src\n!node_modules/kept\nsrc/*.log\n', 'src/a': 'a', 'src/b.log': '', 'node_modules/kept': 'k', 'node_modules/other': '', secret: 's', '-C': 'odd', '--checkpoint-action=exec=false': '' });
    const { entries, dockerfile } = await packed();
    expect(dockerfile).toBeUndefined();
    expect([...entries.keys()].sort()).toEqual(['.dockerignore', 'Dockerfile', 'node_modules/kept', 'src', 'src/a']);
  });

  it("takes names that look like tar's flags for names, keeps links, and makes root the owner of all", async () => {
    await files({ Dockerfile: '', '--checkpoint-action=exec=false': 'odd', '-C': 'odd too', 'new\nline': 'line' });
    await symlink('/etc/passwd', join(folder, 'link'));
    const { entries } = await packed();
    expect([...entries.keys()].sort()).toEqual(['--checkpoint-action=exec=false', '-C', 'Dockerfile', 'link', 'new\nline']);
    expect(entries.get('link')).toMatchObject({ type: 'symlink' });
    expect(new Set([...entries.values()].map(({ uid }) => uid))).toEqual(new Set([0]));
  });

  it("prefers the Dockerfile's own ignore file", async () => {
    await files({ 'docker/app': 'FROM x', 'docker/app.dockerignore': 'a\n', '.dockerignore': 'b\n', a: '', b: '' });
    const { entries, dockerfile } = await packed(join(folder, 'docker/app'));
    expect(dockerfile).toBe('docker/app');
    expect([...entries.keys()].sort()).toEqual(['.dockerignore', 'b', 'docker', 'docker/app', 'docker/app.dockerignore']);
  });

  it('takes a Dockerfile from elsewhere along under a name of its own', async () => {
    await files({ 'context/a': 'a', other: 'FROM other' });
    const { entries, dockerfile } = await packed(join(folder, 'other'), join(folder, 'context'));
    expect(dockerfile).toMatch(/^\.dockerfile\.[0-9a-f]{16}$/);
    expect(entries.get(dockerfile ?? '')?.text).toBe('FROM other');
    const { entries: fromStdin, dockerfile: name } = await packed({ text: 'FROM stdin' }, join(folder, 'context'));
    expect(fromStdin.get(name ?? '')?.text).toBe('FROM stdin');
  });

  it('says what is wrong with it', async () => {
    await expect(localContext(join(folder, 'missing'), undefined)).rejects.toThrow('is no folder');
    await files({ '.dockerignore': 'a\n!\n' });
    await expect(localContext(folder, undefined)).rejects.toThrow('illegal exclusion pattern');
    await rm(join(folder, '.dockerignore'));
    await expect(localContext(folder, '/nowhere/Dockerfile')).rejects.toThrow('cannot be read');
  });
});
