import { jest } from '@jest/globals';
import type { LogFrame } from '#contracts';
import { startPlatform, type Platform } from '#testing';

jest.setTimeout(120_000);

let platform: Platform;
beforeAll(async () => {
  platform = await startPlatform();
});
afterAll(async () => {
  await platform.stop();
});

describe('hello', () => {
  it('answers the smallest call with the result', async () => {
    const answer = await fetch(`${platform.url}/v1/runs?wait=true`, {
      method: 'POST',
      headers: { authorization: `Bearer ${platform.apiKey}`, 'content-type': 'application/json' },
      body: '{"runtime":"python","code":"print(6*7)"}',
    });
    expect(answer.ok).toBe(true);
    expect(await answer.json()).toMatchObject({ state: 'succeeded', stdout: '42\n', stderr: '', exitCode: 0 });
  });

  it('streams the log by WebSocket, with rising seq and one end frame, also to a late subscriber', async () => {
    const { runs } = platform.client();
    const run = await runs.create({ runtime: 'python', code: 'import sys,time\nfor i in range(3):\n  print(i, flush=True); time.sleep(.05)\nprint("bad", file=sys.stderr)' });
    const frames = await collect(runs.logs(run.id));
    expect(frames.map((frame) => frame.seq)).toEqual(frames.map((_, index) => index + 1));
    expect(textOf(frames, 'stdout')).toBe('0\n1\n2\n');
    expect(textOf(frames, 'stderr')).toBe('bad\n');
    expect(frames.at(-1)).toMatchObject({ type: 'end', state: 'succeeded', exitCode: 0 });
    await runs.wait(run.id);
    expect(await collect(runs.logs(run.id))).toEqual(frames);
    expect(await collect(runs.logs(run.id, { after: 2 }))).toEqual(frames.slice(2));
  });

  it.each([
    ['python', 'print("hi")'],
    ['node', 'console.log("hi")'],
    ['bash', 'echo hi'],
    ['c', '#include <stdio.h>\nint main(void){puts("hi");}'],
    ['cpp', '#include <iostream>\nint main(){std::cout << "hi\\n";}'],
  ])('runs %s', async (runtime, code) => {
    expect(await platform.client().runs.createAndWait({ runtime, code })).toMatchObject({ state: 'succeeded', stdout: 'hi\n', exitCode: 0 });
  });
});

describe('the command line', () => {
  it('streams stdout and stderr apart and exits as the program does', async () => {
    const result = await platform.cli(['run', '-r', 'python', '-', '--', 'a b', 'c'], { stdin: 'import sys\nprint(sys.argv[1:])\nprint("bad", file=sys.stderr)\nsys.exit(7)' });
    expect(result).toMatchObject({ exitCode: 7, stdout: "['a b', 'c']\n", stderr: 'bad\n' });
  });

  it('says what a limit stopped', async () => {
    const result = await platform.cli(['run', '-r', 'bash', '-t', '300ms', '-'], { stdin: 'sleep 30' });
    expect(result).toMatchObject({ exitCode: 124, stderr: 'sandbar: it took more than 0.3 s (--timeout)\n' });
  });

  it('forwards its stdin to the program', async () => {
    const result = await platform.cli(['run', '-i', '-', 'test/e2e/fixtures/upper.sh'], { stdin: 'one\ntwo\n' });
    expect(result).toMatchObject({ exitCode: 0, stdout: 'ONE\nTWO\n' });
  });

  it('lists runs and writes their logs again', async () => {
    const { runs } = platform.client();
    const run = await runs.createAndWait({ runtime: 'bash', code: 'echo again' });
    expect((await platform.cli(['logs', run.id])).stdout).toBe('again\n');
    expect((await platform.cli(['ps', '-a'])).stdout).toContain(run.id);
    expect(await platform.cli(['logs', 'run_nonsense'])).toMatchObject({ exitCode: 1, stderr: expect.stringContaining('not_found') });
  });

  it('names a wrong key and how to mend it', async () => {
    expect(await platform.cli(['ps'], { env: { SANDBAR_API_KEY: 'sbk_wrongwrongwrongwrongwrongwrong' } })).toMatchObject({ exitCode: 1, stderr: expect.stringMatching(/unauthenticated[\s\S]*sandbar login/) });
  });
});

it('leaves nothing behind', async () => {
  expect(await platform.leaks()).toMatchObject({ exitCode: 0 });
});

async function collect(frames: AsyncIterable<LogFrame>): Promise<LogFrame[]> {
  const all: LogFrame[] = [];
  for await (const frame of frames) all.push(frame);
  return all;
}

function textOf(frames: readonly LogFrame[], stream: 'stdout' | 'stderr'): string {
  return frames.map((frame) => (frame.type === 'output' && frame.stream === stream ? frame.data : '')).join('');
}
