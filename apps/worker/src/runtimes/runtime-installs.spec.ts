import { CodedError, newId, silentLogger } from '#kernel';
import type { NodeHeartbeat } from '#contracts';
import type { DefinedRuntime } from './runtime-catalogue.js';
import { RuntimeConvergence } from './runtime-convergence.js';
import { RuntimeInstalls } from './runtime-installs.js';

const defined = (name: string): DefinedRuntime => ({ definition: { name } }) as unknown as DefinedRuntime;

describe('installations on a node that works', () => {
  const known = ['java', 'go', 'python'];
  let here: Set<string>;
  let begun: string[];
  let outcome: () => Promise<void>;
  let installs: RuntimeInstalls;

  beforeEach(() => {
    [here, begun, outcome] = [new Set(['python']), [], () => Promise.resolve()];
    const built: string[] = [];
    installs = new RuntimeInstalls({
      runtimes: {
        catalogue: { find: (name: string) => (known.includes(name) ? defined(name) : undefined) } as never,
        has: (name) => here.has(name),
        reload: () => { for (const name of built) here.add(name); return Promise.resolve(); },
      },
      install: async ({ definition: { name } }, report, signal) => {
        begun.push(name);
        report(40, 'fetches packages');
        await Promise.race([outcome(), new Promise((_resolve, reject) => { signal.addEventListener('abort', () => { reject(new CodedError('cancelled', 'stopped')); }); })]);
        built.push(name);
      },
      logger: silentLogger,
    });
  });

  it('begin once, go one after the other, and end in what can be used', async () => {
    const turn = Promise.withResolvers<undefined>();
    outcome = () => turn.promise;
    expect([installs.begin('java'), installs.begin('go'), installs.begin('java')].map(({ state }) => state)).toEqual(['waiting', 'waiting', 'waiting']);
    await new Promise((resolve) => setImmediate(resolve));
    expect([installs.get('java'), installs.get('go')]).toMatchObject([{ state: 'installing', percent: 40, message: 'fetches packages' }, { state: 'waiting' }]);
    turn.resolve(undefined);
    await installs.idle();
    expect([installs.get('java'), installs.get('go')]).toMatchObject([{ state: 'installed' }, { state: 'installed' }]);
    expect(installs.begin('java').state).toBe('installed');
    expect(begun).toEqual(['java', 'go']);
  });

  it('say why they failed, and are tried again when they are asked for again', async () => {
    outcome = () => Promise.reject(new CodedError('unavailable', 'the package mirror cannot be reached: mirror.example'));
    installs.begin('java');
    await installs.idle();
    expect(installs.get('java')).toMatchObject({ state: 'failed', message: expect.stringContaining('mirror.example') });
    outcome = () => Promise.resolve();
    installs.begin('java');
    await installs.idle();
    expect(installs.get('java').state).toBe('installed');
  });

  it('are refused for what is not defined, and given up when the node stops', async () => {
    expect(() => installs.begin('cobol')).toThrow(expect.objectContaining({ code: 'not_found' }));
    outcome = () => new Promise(() => undefined);
    installs.begin('java');
    installs.begin('go');
    await new Promise((resolve) => setImmediate(resolve));
    await installs.stop();
    expect(begun).toEqual(['java']);
  });

  it('come by themselves for what another node has', async () => {
    const nodeId = newId('node');
    const node = (id: string, ...names: string[]) => ({ nodeId: id, runtimes: names.map((name) => ({ name })) }) as unknown as NodeHeartbeat;
    const convergence = new RuntimeConvergence({
      nodeId,
      nodes: { list: () => Promise.resolve([node(nodeId, 'go'), node(newId('node'), 'python', 'java', 'cobol'), node(newId('node'), 'python')]) },
      runtimes: { available: () => known.filter((name) => !here.has(name)).map((name) => ({ name, title: name })) },
      installs,
      logger: silentLogger,
    });
    await convergence.start();
    convergence.stop();
    expect(begun).toEqual(['java']);
    expect(here).toContain('java');
  });
});
