import { chmod, mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { RuntimeCatalogue } from './runtime-catalogue.js';

const SHIPPED = join(import.meta.dirname, '..', '..', '..', '..', 'infra', 'runtimes');
const PYTHON = { name: 'python', title: 'Python', aliases: ['py'], mainFile: 'main.py', run: ['python3', '{main}'], versionCommand: ['python3', '-V'], example: { code: '', stdout: '' } };

describe('the runtime catalogue', () => {
  let folder: string;
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'runtimes-'));
  });
  afterEach(() => rm(folder, { recursive: true }));

  const put = async (name: string, definition: object | string, dockerfile = 'FROM debian'): Promise<void> => {
    await mkdir(join(folder, name), { recursive: true });
    await writeFile(join(folder, name, 'runtime.json'), typeof definition === 'string' ? definition : JSON.stringify(definition));
    await writeFile(join(folder, name, 'Dockerfile'), dockerfile);
  };
  const digest = async (): Promise<unknown> => (await RuntimeCatalogue.load(folder)).find('python')?.digest;

  it('takes the definitions that are shipped', async () => {
    const catalogue = await RuntimeCatalogue.load(SHIPPED);
    const names = (wanted: boolean) => catalogue.runtimes.filter(({ definition }) => definition.default === wanted).map(({ definition }) => definition.name);
    expect(names(true)).toEqual(['bash', 'c', 'cpp', 'node', 'python']);
    expect(names(false)).toEqual(['go', 'java', 'php', 'ruby', 'rust']);
    expect(catalogue.find('c++')?.definition.name).toBe('cpp');
    expect(catalogue.find('c')?.definition.compile?.argv).toContain('{sources}');
    // One build for both.
    expect(catalogue.find('c')?.files.digest).toBe(catalogue.find('cpp')?.files.digest);
  });

  it('finds by name and alias', async () => {
    await put('python', PYTHON);
    await writeFile(join(folder, 'README.md'), 'not a definition');
    const catalogue = await RuntimeCatalogue.load(folder);
    expect(catalogue.find('py')).toBe(catalogue.find('python'));
    expect(catalogue.find('constructor')).toBeUndefined();
  });

  it.each<[string, string, object | string, RegExp]>([
    ['no JSON', 'python', '{"name": ', /^python\/runtime\.json: not JSON/],
    ['a missing field', 'python', { ...PYTHON, run: undefined }, /^python\/runtime\.json: run: /],
    ['an unknown field', 'python', { ...PYTHON, packages: [] }, /^python\/runtime\.json: .*packages/],
    ['a wrong deep field', 'python', { ...PYTHON, compile: { argv: ['a'], limits: { memoryBytes: -0.5 } } }, /^python\/runtime\.json: compile\.limits\.memoryBytes: /],
    ['a main file that leaves the folder', 'python', { ...PYTHON, mainFile: '../main.py' }, /^python\/runtime\.json: mainFile: /],
    ['an unknown placeholder', 'python', { ...PYTHON, run: ['python3', '{mian}'] }, /^python\/runtime\.json: run: unknown placeholder \{mian\}/],
    ['sources without extensions', 'python', { ...PYTHON, run: ['python3', '{sources}'] }, /^python\/runtime\.json: sourceExtensions: /],
    ['sources inside an argument', 'python', { ...PYTHON, sourceExtensions: ['.py'], run: ['-i{sources}'] }, /^python\/runtime\.json: run: \{sources\} must be/],
    ['a main file that is no source', 'python', { ...PYTHON, sourceExtensions: ['.c'] }, /^python\/runtime\.json: mainFile: /],
    ['another name than its folder', 'py3', PYTHON, /^py3\/runtime\.json: name: is python/],
  ])('refuses a definition with %s', async (_what, name, definition, fault) => {
    await put(name, definition);
    await expect(RuntimeCatalogue.load(folder)).rejects.toMatchObject({ code: 'failed_precondition', details: { faults: [expect.stringMatching(fault)] } });
  });

  it('names all faults at once, and whose alias is taken', async () => {
    await put('broken', '[');
    await put('python', PYTHON);
    await put('pypy', { ...PYTHON, name: 'pypy' });
    await rm(join(folder, 'pypy', 'Dockerfile'));
    await expect(RuntimeCatalogue.load(folder)).rejects.toMatchObject({
      details: { faults: [expect.stringMatching(/^broken\/runtime\.json/), 'pypy/Dockerfile: is missing', 'python/runtime.json: aliases: py is taken by pypy'] },
    });
  });

  it('says so when there is nothing', async () => {
    await expect(RuntimeCatalogue.load(folder)).rejects.toThrow('no folder with a runtime.json');
    await expect(RuntimeCatalogue.load(join(folder, 'absent'))).rejects.toThrow('ENOENT');
  });

  it('takes no link into a build: it may lead anywhere', async () => {
    await put('python', PYTHON);
    await symlink('/etc/passwd', join(folder, 'python', 'passwd'));
    await expect(RuntimeCatalogue.load(folder)).rejects.toThrow('passwd is no plain file');
  });

  it('tells apart what makes another image or another way to run, not the order of fields', async () => {
    await put('python', PYTHON);
    const seen = [await digest()];
    await put('python', Object.fromEntries(Object.entries(PYTHON).reverse()));
    expect(await digest()).toBe(seen[0]);
    await put('python', { ...PYTHON, env: { A: '1' } });
    seen.push(await digest());
    await put('python', PYTHON, 'FROM debian\nRUN true');
    seen.push(await digest());
    await mkdir(join(folder, 'python', 'more'));
    await writeFile(join(folder, 'python', 'more', 'tool'), 'x');
    seen.push(await digest());
    await chmod(join(folder, 'python', 'more', 'tool'), 0o755);
    seen.push(await digest());
    expect(new Set(seen).size).toBe(5);
  });
});
