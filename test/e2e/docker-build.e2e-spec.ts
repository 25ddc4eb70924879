import { spawn } from 'node:child_process';
import { utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { DockerCli } from '#testing';
import { TwoTenants } from './two-tenants.js';

/** `docker build` of Docker's own client, by two tenants at the same time. */
describe('docker build', () => {
  const both = new TwoTenants((docker) => docker.ok('pull', '-q', 'busybox'));
  afterEach(async () => {
    for (const docker of both.tenants) expect(await docker.ok('ps', '-aq')).toBe('');
  });

  const byBoth: TwoTenants['byBoth'] = (lines) => both.byBoth(lines);
  const context: TwoTenants['context'] = (files) => both.context(files);
  const cachedSteps = (output: string): number => output.split('Using cache').length - 1;

  it(
    'builds in stages, names the image and shows its history',
    byBoth(async (docker) => {
      const path = await context({ Dockerfile: 'ARG BASE=busybox\nFROM $BASE AS builder\nARG WHO=nobody\nRUN mkdir /out && echo "hello $WHO" > /out/greeting\nFROM busybox\nLABEL by=us\nWORKDIR /srv\nCOPY --from=builder /out/greeting .\nCMD ["cat", "greeting"]\n' });
      const output = await docker.ok('build', '-t', 'greeter', '-t', 'greeter:2', '--build-arg', 'WHO=world', '--label', 'more=x y', path);
      expect(output).toMatch(/Step 1\/10 : ARG BASE=busybox\n/);
      expect(output).toMatch(/Step 4\/10 : RUN mkdir \/out && echo "hello \$WHO" > \/out\/greeting\n ---> Running in [0-9a-f]{12}\n/);
      expect(output).toMatch(/Successfully built [0-9a-f]{12}\nSuccessfully tagged greeter:latest\nSuccessfully tagged greeter:2$/);
      expect(await docker.ok('run', '--rm', 'greeter')).toBe('hello world');
      expect(await docker.ok('history', '--no-trunc', '--format', '{{.CreatedBy}}', 'greeter:2')).toMatch(/^\/bin\/sh -c #\(nop\) {2}LABEL more=x y\n\/bin\/sh -c #\(nop\) {2}CMD \["cat" "greeting"\]\n\/bin\/sh -c #\(nop\) COPY \/out\/greeting in \. \n\/bin\/sh -c #\(nop\) WORKDIR \/srv\n/);
      expect(await docker.json('inspect', '-f', '{{json .Config.Labels}}', 'greeter')).toEqual({ by: 'us', more: 'x y' });
    }),
    120_000,
  );

  it(
    'takes from its cache what has not changed',
    byBoth(async (docker) => {
      const path = await context({ Dockerfile: 'FROM busybox\nARG VALUE=1\nENV VALUE=$VALUE\nCOPY file /file\nRUN cat /file\n', file: 'one' });
      await docker.ok('build', path);
      await utimes(join(path, 'file'), 1, 1);
      expect(cachedSteps(await docker.ok('build', path))).toBe(3);
      expect(cachedSteps(await docker.ok('build', '--build-arg', 'VALUE=2', path))).toBe(0);
      expect(cachedSteps(await docker.ok('build', '--no-cache', path))).toBe(0);
      await writeFile(join(path, 'file'), 'two');
      expect(cachedSteps(await docker.ok('build', path))).toBe(1);
      expect(await docker.ok('builder', 'prune', '-f')).toMatch(/Total reclaimed space/);
      expect(cachedSteps(await docker.ok('build', path))).toBe(0);
    }),
    120_000,
  );

  it('takes the steps of another tenant’s image for the build that names it, and for no other', async () => {
    const [anna, bert] = both.tenants as [DockerCli, DockerCli];
    const path = await context({ Dockerfile: 'FROM busybox\nENV FOR=cache\nCOPY file /file\nRUN cat /proc/sys/kernel/random/uuid > /random\nCMD ["cat", "/random"]\n', file: 'one' });
    const archive = join(await both.newFolder(), 'made.tar');
    await anna.ok('build', '-t', 'made', path);
    await anna.ok('save', '-o', archive, 'made');
    await bert.ok('load', '-i', archive);
    const dangling = (): Promise<string> => bert.ok('images', '-q', '--filter', 'dangling=true');
    const before = await dangling();
    const output = await bert.ok('build', '--cache-from', 'made', '-t', 'again', path);
    expect([cachedSteps(output), output]).toEqual([4, expect.not.stringContaining('[Warning]')]);
    expect(await bert.ok('images', '-q', '--no-trunc', 'again')).toBe(await anna.ok('images', '-q', '--no-trunc', 'made'));
    expect(await bert.ok('run', '--rm', 'again')).toBe(await anna.ok('run', '--rm', 'made'));
    // What lies below is hidden, as of any image that was built.
    expect(await dangling()).toBe(before);
    await writeFile(join(path, 'file'), 'two');
    expect(cachedSteps(await bert.ok('build', '--cache-from', 'made', path))).toBe(1);
    await writeFile(join(path, 'file'), 'one');
    expect(cachedSteps(await bert.ok('build', path))).toBe(0);
  }, 120_000);

  it(
    'fails as its commands do, and goes on from there',
    byBoth(async (docker) => {
      const path = await context({ Dockerfile: 'FROM busybox\nRUN echo first > /first\nRUN cat /first && exit 3\n' });
      const { exitCode, stderr } = await docker.run(['build', path]);
      expect(exitCode).toBe(3);
      expect(stderr).toContain("The command '/bin/sh -c cat /first && exit 3' returned a non-zero code: 3");
      await writeFile(join(path, 'Dockerfile'), 'FROM busybox\nRUN echo first > /first\nRUN cat /first\n');
      expect(cachedSteps(await docker.ok('build', path))).toBe(1);
    }),
    120_000,
  );

  it(
    'leaves out what .dockerignore names, stops at a target, reads Dockerfiles of other names and of standard input',
    byBoth(async (docker) => {
      const path = await context({ '.dockerignore': '*.log\n!kept.log\nDockerfile.other\n', 'Dockerfile.other': 'FROM busybox AS first\nCOPY . /all\nRUN ls -A /all\nFROM first AS second\nRUN exit 1\n', 'a.log': '', 'kept.log': '', b: '' });
      const output = await docker.ok('build', '-f', join(path, 'Dockerfile.other'), '--target', 'first', path);
      expect(output).toMatch(/\n\.dockerignore\nb\nkept\.log\n/);
      const { stdout, stderr, exitCode } = await docker.run(['build', '-f', '-', path], { stdin: 'FROM busybox\nCOPY b /b\nRUN <<EOF\necho from a document\nEOF\n' });
      expect([exitCode, stdout + stderr]).toEqual([0, expect.stringContaining('from a document') as string]);
      expect((await docker.ok('build', '-q', '-f', join(path, 'Dockerfile.other'), '--target', 'first', path)).trim()).toMatch(/^sha256:[0-9a-f]{64}$/);
    }),
    120_000,
  );

  it(
    'refuses what cannot be built, in words that say why',
    byBoth(async (docker) => {
      const says = async (dockerfile: string, ...args: string[]): Promise<string> => docker.fails('build', ...args, await context({ Dockerfile: dockerfile }));
      expect(await says('FROM busybox\nCOPY ../x /x\n')).toContain('COPY failed: forbidden path outside the build context: ../x ()');
      expect(await says('FROM busybox\nCOPY missing /x\n')).toContain('COPY failed: file not found in build context or excluded by .dockerignore: stat missing: file does not exist');
      expect(await says('FROM busybox\nRUNN true\n')).toMatch(/dockerfile parse error on line 2, column 1: unknown instruction: RUNN/);
      expect(await says('FROM busybox\n', '--target', 'nowhere')).toContain('target stage "nowhere" could not be found');
      expect(await says('FROM busybox\n', '--network', 'host')).toContain('is not supported by this server');
      expect(await says('FROM busybox\n', '--platform', 'linux/s390x')).toContain('it builds for');
      expect(await says('FROM busybox\nRUN --mount=type=secret,id=x,required true\n')).toContain('secret x: not found');
      expect(await says('# check=error=true\nFROM busybox\nMAINTAINER me\n')).toContain('line 3, column 1: lint violation found for rules: MaintainerDeprecated');
      expect(await docker.fails('build', '-t', 'BAD', await context({ Dockerfile: 'FROM busybox\n' }))).toMatch(/invalid reference format/);
    }),
    120_000,
  );

  it(
    'carries out what a base has left for those who build on it',
    byBoth(async (docker) => {
      await docker.ok('build', '-t', 'base', await context({ Dockerfile: 'FROM busybox\nONBUILD COPY app /app\nONBUILD RUN cat /app\n' }));
      const output = await docker.ok('build', await context({ Dockerfile: 'FROM base\nCMD ["true"]\n', app: 'an app' }));
      expect(output).toMatch(/# Executing 2 build triggers\n[^]*an app/);
    }),
    120_000,
  );

  it(
    'says what is likely not meant, keeps its limits, and tells what its cache takes',
    byBoth(async (docker) => {
      const path = await context({ Dockerfile: 'FROM busybox as base\nENV A=$NOWHERE\nRUN ulimit -n; grep own.example /etc/hosts; dd if=/dev/zero of=/big bs=1k count=64 2>/dev/null\nRUN --mount=type=cache,target=/c touch /c/x\nCMD run it\n' });
      const output = await docker.ok('build', '--ulimit', 'nofile=77', '--add-host', 'own.example:10.9.8.7', path);
      expect(output).toContain("[Warning] FromAsCasing: 'as' and 'FROM' keywords' casing do not match (line 1)");
      expect(output).toContain('[Warning] JSONArgsRecommended: JSON arguments recommended for CMD');
      expect(output).toContain("[Warning] UndefinedVar: Usage of undefined variable '$NOWHERE' (line 2)");
      expect(output).toMatch(/\n77\n10\.9\.8\.7\s+own\.example\n/);
      expect(await docker.ok('system', 'df')).toMatch(/Build Cache +\d+ +0 +6\d\.\d+kB +6\d\.\d+kB/);
      expect(await docker.ok('system', 'df', '-v')).toMatch(/regular|exec\.cachemount/);
      expect(await docker.ok('builder', 'prune', '-f', '--filter', 'type=exec.cachemount')).toMatch(/build-cache-[^]*Total reclaimed space/);
      expect(cachedSteps(await docker.ok('build', '--ulimit', 'nofile=77', '--add-host', 'own.example:10.9.8.7', path))).toBe(4);
      expect(await docker.ok('builder', 'prune', '-af')).toMatch(/Total reclaimed space: 6\d\.\d+kB/);
      expect(await docker.ok('system', 'df')).toMatch(/Build Cache +0 +0 +0B +0B/);
    }),
    120_000,
  );

  it('bears a command that prints a hundred megabytes', async () => {
    const docker = both.anna;
    const child = spawn('docker', ['build', await context({ Dockerfile: 'FROM busybox\nRUN yes 0123456789012345678901234567890123456789012345678901234567890 | head -c 104857600; echo; echo the end\n' })], { env: docker.env, stdio: ['ignore', 'pipe', 'ignore'] });
    let bytes = 0;
    let tail = '';
    child.stdout.on('data', (chunk: Buffer) => {
      bytes += chunk.length;
      tail = (tail + chunk.toString()).slice(-500);
    });
    const exitCode = await new Promise((resolve) => child.once('close', resolve));
    expect([exitCode, bytes > 104_857_600, tail.includes('the end\n')]).toEqual([0, true, true]);
  }, 180_000);

  it('leaves nothing of a build whose client has gone in its middle', async () => {
    const docker = both.anna;
    const child = spawn('docker', ['build', await context({ Dockerfile: 'FROM busybox\nRUN echo begun; sleep 1000\n' })], { env: docker.env, stdio: ['ignore', 'pipe', 'ignore'] });
    await new Promise<void>((resolve) => {
      child.stdout.on('data', (chunk: Buffer) => {
        if (chunk.includes('begun\n')) resolve();
      });
    });
    child.kill('SIGKILL');
    // Another build of the tenant's goes on as ever; the afterAll looks for what is left.
    await docker.ok('build', await context({ Dockerfile: 'FROM busybox\nRUN true\n' }));
  }, 120_000);
});
