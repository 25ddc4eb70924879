import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startPlatform, type Platform } from '#testing';
import { tarOf } from './builds-client.js';
import { stopAndExpectNothingLeft } from './nothing-left.js';

describe('sandbar build', () => {
  let platform: Platform;
  let folder: string;

  beforeAll(async () => {
    platform = await startPlatform();
    folder = await mkdtemp(join(tmpdir(), 'sandbar-build-'));
    await mkdir(join(folder, 'src'));
    await writeFile(join(folder, 'Dockerfile'), 'FROM busybox\nARG WHO\nCOPY . /context\nRUN echo "hello $WHO"; ls -A /context\n');
    await writeFile(join(folder, '.dockerignore'), '*.log\n');
    await writeFile(join(folder, 'a.log'), '');
    await writeFile(join(folder, 'src', 'a'), 'a');
  }, 120_000);
  afterAll(async () => {
    await rm(folder, { recursive: true, force: true });
    await stopAndExpectNothingLeft(platform);
  }, 60_000);

  it('packs a folder, shows its steps line by line, and writes the ID of the image', async () => {
    const { exitCode, stdout, stderr } = await platform.cli(['build', '-t', 'team/app:v1', '--build-arg', 'WHO=world', folder]);
    expect({ exitCode, stdout }).toEqual({ exitCode: 0, stdout: expect.stringMatching(/^sha256:[0-9a-f]{64}\n$/) as string });
    expect(stderr).toContain('#1 [1/4] FROM busybox\n');
    expect(stderr).toContain('#4 | hello world\n#4 | .dockerignore\n#4 | Dockerfile\n#4 | src\n');
    expect(stderr).toContain('named team/app:v1\n');
    const again = await platform.cli(['build', '-q', '--build-arg', 'WHO=world', folder]);
    expect(again).toMatchObject({ exitCode: 0, stdout, stderr: '' });
  }, 60_000);

  it('takes a Dockerfile or a tar from stdin, and the value of an argument from the environment', async () => {
    const { stderr } = await platform.cli(['build', '--build-arg', 'WORD', '-'], { stdin: 'FROM busybox\nARG WORD\nRUN echo "the word is $WORD"\n', env: { WORD: 'bird' } });
    expect(stderr).toContain('#3 | the word is bird\n');
    await writeFile(join(folder, 'context.tar'), await tarOf({ 'other/Dockerfile': 'FROM busybox\nCOPY x /x\n', x: 'x' }));
    const tar = await platform.cli(['build', '-q', '-f', 'other/Dockerfile', '-'], { stdin: (await tarOf({ 'other/Dockerfile': 'FROM busybox\nCOPY x /x\n', x: 'x' })).toString('latin1') });
    expect(tar).toMatchObject({ exitCode: 0, stderr: '' });
    await rm(join(folder, 'context.tar'));
  }, 60_000);

  it('hands secrets of files and variables over', async () => {
    await writeFile(join(folder, 'key.log'), '12345678');
    const dockerfile = 'FROM busybox\nRUN --mount=type=secret,id=file wc -c < /run/secrets/file\nRUN --mount=type=secret,id=VARIABLE wc -c < /run/secrets/VARIABLE\n';
    const { exitCode, stderr } = await platform.cli(['build', '--secret', `id=file,src=${join(folder, 'key.log')}`, '--secret', 'id=VARIABLE', '-'], { stdin: dockerfile, env: { VARIABLE: 'four' } });
    expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: expect.stringMatching(/#2 \| 8\n[^]*#3 \| 4\n/) as string });
    expect(await platform.cli(['build', '--secret', 'src=x', '-'], { stdin: '' })).toMatchObject({ exitCode: 2, stderr: expect.stringContaining('has no id') as string });
  }, 60_000);

  it('takes steps from an image that it names, and says of which there are none', async () => {
    const dockerfile = 'FROM busybox\nRUN cat /proc/sys/kernel/random/uuid > /random\n';
    const { stdout } = await platform.cli(['build', '-q', '-t', 'team/random', '-'], { stdin: dockerfile });
    await platform.cli(['build', '-q', '--no-cache', '-'], { stdin: dockerfile });
    const again = await platform.cli(['build', '--cache-from', 'busybox', '--cache-from', 'team/random', '-'], { stdin: dockerfile });
    expect(again).toMatchObject({ exitCode: 0, stdout });
    expect(again.stderr).toContain('cache-from: the image busybox says nothing of how it was made: nothing is taken from it');
  }, 60_000);

  it('fails with exit code 1 and says where', async () => {
    const wrong = await platform.cli(['build', '-'], { stdin: 'FROM busybox\nRUNN true\n' });
    expect(wrong).toMatchObject({ exitCode: 1, stdout: '', stderr: expect.stringContaining('sandbar: Dockerfile:2:1: dockerfile parse error on line 2, column 1: unknown instruction: RUNN') as string });
    const failed = await platform.cli(['build', '-'], { stdin: 'FROM busybox\nRUN true\nRUN exit 9\n' });
    expect(failed).toMatchObject({ exitCode: 1, stderr: expect.stringContaining("sandbar: Dockerfile:3: The command '/bin/sh -c exit 9' returned a non-zero code: 9") as string });
    expect(await platform.cli(['build', join(folder, 'missing')])).toMatchObject({ exitCode: 1, stderr: expect.stringContaining('is no folder') as string });
  }, 60_000);

  it('lists builds, and shows what one has written', async () => {
    const { stdout } = await platform.cli(['builds', '--json']);
    const builds = JSON.parse(stdout) as { id: string; state: string }[];
    expect(builds[0]).toMatchObject({ state: 'failed' });
    expect((await platform.cli(['builds'])).stdout).toMatch(/^BUILD +STATE +FROM +CREATED +SECONDS +NAMES\n/);
    expect((await platform.cli(['logs', builds[0]!.id])).stdout).toContain('#3 failed after');
    expect((await platform.cli(['cancel', builds[0]!.id])).stdout).toBe(`${builds[0]!.id} failed\n`);
  }, 60_000);
});
