import { createRunSchema, runtimeDefinitionSchema, type CreateRunInput } from '#contracts';
import { WORK_DIR, planRun } from './run-plan.js';

const python = runtimeDefinitionSchema.parse({
  name: 'python', title: 'Python', mainFile: 'main.py', sourceExtensions: ['.py'], run: ['python3', '-u', '{main}'], env: { PYTHONUTF8: '1' },
  versionCommand: ['python3', '-V'], example: { code: '', stdout: '' },
});
const c = runtimeDefinitionSchema.parse({
  name: 'c', title: 'C', mainFile: 'main.c', sourceExtensions: ['.c'], compile: { argv: ['gcc', '-o', 'main', '{sources}', '-lm'] }, run: ['./main'],
  versionCommand: ['gcc', '-v'], example: { code: '', stdout: '' },
});
const plan = (definition: typeof c, input: Omit<CreateRunInput, 'runtime'>) => planRun(createRunSchema.parse({ runtime: definition.name, ...input }), definition);

describe('planRun', () => {
  it('makes one step of an interpreted program', () => {
    const { steps, files, stdin } = plan(python, { code: 'print(1)', args: ['a', '{main}'], env: { X: 'y' }, stdin: 'aGk=', stdinEncoding: 'base64' });
    expect(steps).toHaveLength(1);
    expect(steps[0]).toMatchObject({ name: 'run', processId: 2, argv: ['python3', '-u', 'main.py', 'a', '{main}'], uid: 1000, stdin: true });
    expect(steps[0]!.env).toEqual(expect.arrayContaining(['HOME=/work', 'PYTHONUTF8=1', 'X=y']));
    expect(files).toEqual([{ path: `${WORK_DIR}/main.py`, content: Buffer.from('print(1)'), mode: 0o644 }]);
    expect(stdin.toString()).toBe('hi');
  });

  it('gives a compile step the larger limits of the two', () => {
    const { steps } = plan(c, { code: 'int main;', limits: { memoryBytes: 16 * 1024 * 1024, cpuTimeMs: 100_000 } });
    expect(steps.map((step) => [step.name, step.limits.memoryBytes, step.limits.cpuTimeMs])).toEqual([
      ['compile', 512 * 1024 * 1024, 100_000],
      ['run', 16 * 1024 * 1024, 100_000],
    ]);
  });

  it('gives every source to the compiler, none as an option', () => {
    const { steps } = plan(c, { files: { 'b.c': '', 'lib/a.c': '', 'a.h': '', '-x.c': '' }, code: 'int main;' });
    expect(steps[0]!.argv).toEqual(['gcc', '-o', 'main', './-x.c', 'b.c', 'lib/a.c', 'main.c', '-lm']);
  });

  it('says when there is nothing to compile', () => {
    expect(() => plan(c, { files: { 'a.h': '' } })).toThrow(expect.objectContaining({ code: 'invalid_argument' }));
  });

  it('runs the entry instead of all steps of the runtime', () => {
    const { steps } = plan(c, { files: { 'run.sh': { content: 'echo hi', executable: true } }, entry: ['./run.sh', '{sources}'], args: ['1'], user: 'root' });
    expect(steps.map((step) => [step.name, step.argv, step.uid])).toEqual([['run', ['./run.sh', '{sources}', '1'], 0]]);
  });

  it('takes the only source for the main file', () => {
    expect(plan(python, { files: { 'app.py': '' } }).steps[0]!.argv).toEqual(['python3', '-u', 'app.py']);
    expect(plan(python, { files: { 'app.py': '', 'main.py': '' } }).steps[0]!.argv[2]).toBe('main.py');
    expect(plan(python, { files: { 'app.py': '', 'b.py': '' } }).steps[0]!.argv[2]).toBe('main.py');
  });

  it('knows a replacement pattern in a file name for what it is', () => {
    expect(plan(python, { files: { '$&.py': '' } }).steps[0]!.argv[2]).toBe('$&.py');
  });
});
