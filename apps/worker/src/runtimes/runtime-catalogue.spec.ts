import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { RuntimeCatalogue, definitionDigest } from './runtime-catalogue.js';

const SHIPPED = join(import.meta.dirname, '..', '..', '..', '..', 'infra', 'runtimes');
const PYTHON = { name: 'python', title: 'Python', aliases: ['py'], packages: ['python3'], mainFile: 'main.py', run: ['python3', '{main}'], versionCommand: ['python3', '-V'], example: { code: '', stdout: '' } };

describe('the runtime catalogue', () => {
  let folder: string;
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'runtimes-'));
  });
  afterEach(() => rm(folder, { recursive: true }));

  const put = (file: string, content: object | string) => writeFile(join(folder, file), typeof content === 'string' ? content : JSON.stringify(content));

  it('takes the definitions that are shipped', async () => {
    const catalogue = await RuntimeCatalogue.load(SHIPPED);
    expect(catalogue.definitions.map((definition) => definition.name)).toEqual(['bash', 'c', 'cpp', 'node', 'python']);
    expect(catalogue.find('c++')?.name).toBe('cpp');
    expect(catalogue.find('c')?.compile?.argv).toContain('{sources}');
  });

  it('finds by name and alias', async () => {
    await put('python.json', PYTHON);
    await put('README.md', 'not a definition');
    const catalogue = await RuntimeCatalogue.load(folder);
    expect(catalogue.find('py')).toBe(catalogue.find('python'));
    expect(catalogue.find('constructor')).toBeUndefined();
  });

  it.each<[string, string, object | string, RegExp]>([
    ['no JSON', 'python.json', '{"name": ', /^python\.json: not JSON/],
    ['a missing field', 'python.json', { ...PYTHON, run: undefined }, /^python\.json: run: /],
    ['an unknown field', 'python.json', { ...PYTHON, runs: [] }, /^python\.json: .*runs/],
    ['a wrong deep field', 'python.json', { ...PYTHON, compile: { argv: ['a'], limits: { memoryBytes: -0.5 } } }, /^python\.json: compile\.limits\.memoryBytes: /],
    ['a package that is an option', 'python.json', { ...PYTHON, packages: ['--hook=x'] }, /^python\.json: packages\.0: /],
    ['a main file that leaves the folder', 'python.json', { ...PYTHON, mainFile: '../main.py' }, /^python\.json: mainFile: /],
    ['an unknown placeholder', 'python.json', { ...PYTHON, run: ['python3', '{mian}'] }, /^python\.json: run: unknown placeholder \{mian\}/],
    ['sources without extensions', 'python.json', { ...PYTHON, run: ['python3', '{sources}'] }, /^python\.json: sourceExtensions: /],
    ['sources inside an argument', 'python.json', { ...PYTHON, sourceExtensions: ['.py'], run: ['-i{sources}'] }, /^python\.json: run: \{sources\} must be/],
    ['a main file that is no source', 'python.json', { ...PYTHON, sourceExtensions: ['.c'] }, /^python\.json: mainFile: /],
    ['another name than its file', 'py3.json', PYTHON, /^py3\.json: name: is python/],
  ])('refuses a file with %s', async (_what, file, content, fault) => {
    await put(file, content);
    await expect(RuntimeCatalogue.load(folder)).rejects.toMatchObject({ code: 'failed_precondition', details: { faults: [expect.stringMatching(fault)] } });
  });

  it('names all faults at once, and whose alias is taken', async () => {
    await put('broken.json', '[');
    await put('python.json', PYTHON);
    await put('pypy.json', { ...PYTHON, name: 'pypy' });
    await expect(RuntimeCatalogue.load(folder)).rejects.toMatchObject({
      details: { faults: [expect.stringMatching(/^broken\.json/), 'python.json: aliases: py is taken by pypy.json'] },
    });
  });

  it('says so when there is nothing', async () => {
    await expect(RuntimeCatalogue.load(folder)).rejects.toThrow('no definition file');
    await expect(RuntimeCatalogue.load(join(folder, 'absent'))).rejects.toThrow('ENOENT');
  });

  it('tells definitions apart, not the order of their fields', async () => {
    await put('python.json', PYTHON);
    const one = (await RuntimeCatalogue.load(folder)).definitions[0]!;
    await put('python.json', Object.fromEntries(Object.entries(PYTHON).reverse()));
    expect(definitionDigest((await RuntimeCatalogue.load(folder)).definitions[0]!)).toBe(definitionDigest(one));
    await put('python.json', { ...PYTHON, env: { A: '1' } });
    expect(definitionDigest((await RuntimeCatalogue.load(folder)).definitions[0]!)).not.toBe(definitionDigest(one));
  });
});
