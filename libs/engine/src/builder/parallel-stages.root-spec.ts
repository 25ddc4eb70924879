import type { BuildEvent } from './index.js';
import { BuildHost, file } from './testing/build-host.contract.js';

describe('stages of a build', () => {
  let host: BuildHost;

  beforeAll(async () => {
    host = await BuildHost.open('parallel-stages');
  }, 60_000);
  afterAll(() => host.close(), 60_000);
  afterEach(() => host.expectNothingLeft());

  /** Two that each wait for the other: one alone would never end. */
  const MEETING = (['one', 'two'] as const).map((own) => `FROM busybox AS ${own}\nRUN --mount=type=cache,id=meeting,target=/m touch /m/${own}; while [ ! -e /m/${own === 'one' ? 'two' : 'one'} ]; do sleep 0.05; done; echo ${own} > /${own}\n`).join('');

  it('run side by side when neither needs the other', async () => {
    const running = new Set<number>();
    let most = 0;
    const report = (event: BuildEvent): void => {
      if (event.kind === 'running') running.add(event.step);
      if (event.kind === 'removed') running.delete(event.step);
      most = Math.max(most, running.size);
    };
    const { imageId } = await host.build(`${MEETING}FROM busybox\nCOPY --from=one /one /one\nCOPY --from=two /two /two\n`, { report });
    const files = await host.filesOf(imageId);
    expect([most, files.get('one'), files.get('two')]).toEqual([2, 'file 644 0:0 one\n', 'file 644 0:0 two\n']);
  }, 60_000);

  it('carry out again what depends on a file that has changed, and nothing else', async () => {
    const dockerfile = 'FROM busybox AS one\nCOPY a /a\nRUN cat /a > /one\nFROM busybox AS two\nCOPY b /b\nRUN cat /b > /two\nFROM busybox\nCOPY --from=one /one /one\nCOPY --from=two /two /two\nRUN cat /one /two > /three\n';
    const build = (a: string, b: string) => host.build(dockerfile, { files: [file('a', a), file('b', b)] });
    await build('1', '1');
    const ran = async (a: string, b: string): Promise<number[]> => {
      const { cached, events } = await build(a, b);
      return events.flatMap((event) => (event.kind === 'step' && !/^FROM/.test(event.text) && !cached.includes(event.step) ? [event.step] : [])).sort((one, other) => one - other);
    };
    expect(await ran('1', '1')).toEqual([]);
    expect(await ran('1', '2')).toEqual([5, 6, 9, 10]);
    expect(await ran('2', '2')).toEqual([2, 3, 8, 9, 10]);
    expect(await ran('1', '1')).toEqual([]);
  }, 60_000);

  it('end when one of them fails, whatever the other does', async () => {
    await expect(host.build('FROM busybox AS slow\nRUN sleep 1000\nFROM busybox AS broken\nRUN exit 3\nFROM busybox\nCOPY --from=slow /x /x\nCOPY --from=broken /x /y\n')).rejects.toMatchObject({ details: { exitCode: 3 } });
  }, 60_000);

  it('are left out when the target does not need them', async () => {
    const { events } = await host.build('FROM busybox AS one\nRUN exit 1\nFROM busybox AS two\nRUN echo two\nFROM one\nRUN exit 1\n', { target: 'two' });
    expect(events.flatMap((event) => (event.kind === 'step' ? [event.text] : []))).toEqual(['FROM busybox AS two', 'RUN echo two']);
  }, 60_000);
});
