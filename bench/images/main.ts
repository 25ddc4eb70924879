import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { BenchDocker } from '../bench-docker.ts';
import { dockerClient, type DockerClient } from '../docker-client.ts';
import { SandbarInstance } from '../sandbar-instance.ts';
import { summarize, table, timed, type Summary } from '../statistics.ts';

/**
 * Storage work by the same docker client against a running instance and against a Docker daemon, the two in turn: import of a Debian root file
 * system, load of an archive, commit of a small change on it, first and later starts. Usage: npm run bench:images -- [rounds] [--big]
 * `--big` also loads an image of 2 GB once and says the peak memory of gateway and worker.
 */
const rounds = Number(process.argv[2] ?? 5);
const big = process.argv.includes('--big');

const sandbar = await SandbarInstance.find();
const docker = await BenchDocker.start();
const folder = mkdtempSync(join(tmpdir(), 'bench-images-'));
try {
  const rootfs = join(folder, 'rootfs.tar');
  makeRootfs(rootfs);
  const subjects = [
    { name: 'sandbar', client: dockerClient(sandbar.dockerHost, sandbar.dockerEnvironment), times: new Map<string, number[]>() },
    { name: 'docker', client: dockerClient(docker.host), times: new Map<string, number[]>() },
  ];
  const measure = async (subject: (typeof subjects)[number], what: string, work: () => Promise<unknown>): Promise<void> => {
    const list = subject.times.get(what) ?? [];
    list.push(
      await timed(async () => {
        await work();
      }),
    );
    subject.times.set(what, list);
  };

  for (let round = 0; round < rounds; round += 1) {
    for (const subject of subjects) {
      const { client } = subject;
      await measure(subject, 'import', () => client(['import', rootfs, 'bench-debian']));
      const archive = join(folder, `${subject.name}.tar`);
      await client(['save', '-o', archive, 'bench-debian']);
      await client(['rmi', 'bench-debian']);
      await measure(subject, 'load', () => client(['load', '-q', '-i', archive]));
      const run = async (id: string): Promise<void> => {
        await client(['start', id]);
        await client(['wait', id]);
      };
      const first = await client(['create', '--network', 'none', 'bench-debian', 'sh', '-c', 'head -c 1000000 /dev/urandom > /change']);
      await measure(subject, 'first start', () => run(first));
      await measure(subject, 'commit', () => client(['commit', first, 'bench-commit']));
      const second = await client(['create', '--network', 'none', 'bench-debian', 'true']);
      await measure(subject, 'second start', () => run(second));
      await client(['rm', first, second]);
      await client(['rmi', 'bench-commit', 'bench-debian']);
    }
  }
  const [ours, theirs] = subjects;
  if (ours === undefined || theirs === undefined) throw new Error('two subjects');
  const seconds = (value: number): string => (value / 1000).toFixed(3);
  const row = (what: string): string[] => {
    const [a, b] = [ours, theirs].map((subject) => summarize(subject.times.get(what) ?? [])) as [Summary, Summary];
    return [what, seconds(a.p50), seconds(a.max), seconds(b.p50), seconds(b.max), `${(b.p50 / a.p50).toFixed(1)}x`];
  };
  console.log(`${docker.version}; root file system of ${(statSync(rootfs).size / 1e6).toFixed(0)} MB; ${String(rounds)} rounds in turn; seconds, the docker client's own start included\n`);
  console.log(table(['', 'ours p50', 'max', 'docker p50', 'max', 'docker / ours'], [...ours.times.keys()].map(row)));
  if (big) await loadBig(ours.client);
} finally {
  rmSync(folder, { recursive: true, force: true });
  await docker.stop();
}

/** Debian's minimal system, some 180 MB, made once and kept. */
function makeRootfs(path: string): void {
  const kept = join(tmpdir(), 'bench-rootfs.tar');
  if (!existsSync(kept)) {
    const made = spawnSync('mmdebstrap', ['--variant=minbase', 'bookworm', `${kept}.new.tar`], { stdio: ['ignore', 'ignore', 'inherit'] });
    if (made.status !== 0) throw new Error('mmdebstrap failed');
    execFileSync('mv', [`${kept}.new.tar`, kept]);
  }
  execFileSync('cp', [kept, path]);
}

/** Random bytes, in files of 20 MB: nothing compresses away. */
async function loadBig(client: DockerClient): Promise<void> {
  const tree = join(folder, 'big');
  mkdirSync(tree);
  for (let part = 0; part < 100; part += 1) execFileSync('dd', ['if=/dev/urandom', `of=${join(tree, String(part))}`, 'bs=1M', 'count=20', 'status=none']);
  const archive = join(folder, 'big.tar');
  execFileSync('tar', ['-C', tree, '-cf', archive, '.']);
  rmSync(tree, { recursive: true });
  await client(['import', archive, 'bench-big']);
  rmSync(archive);
  const saved = join(folder, 'big-saved.tar');
  await client(['save', '-o', saved, 'bench-big']);
  await client(['rmi', 'bench-big']);
  for (const service of ['gateway', 'worker'] as const) resetPeak(sandbar.pidOf(service));
  const time = await timed(async () => {
    await client(['load', '-q', '-i', saved]);
  });
  console.log(`\nload of 2 GB: ${(time / 1000).toFixed(1)} s; peak memory: ${(['gateway', 'worker'] as const).map((service) => told(service, sandbar.pidOf(service))).join(', ')}`);
  await client(['rmi', 'bench-big']);
}

/** proc(5), clear_refs: 5 sets VmHWM to what is resident now. */
function resetPeak(pid: number): void {
  execFileSync('sh', ['-c', `echo 5 > /proc/${String(pid)}/clear_refs`]);
}

/** Pages of files are node's own program, which lies in memory once for both. */
function told(service: string, pid: number): string {
  const status = readFileSync(`/proc/${String(pid)}/status`, 'utf8');
  const megabytes = (field: string): string => ((Number(new RegExp(`${field}:\\s+(\\d+) kB`).exec(status)?.[1]) * 1024) / 1e6).toFixed(0);
  return `${service} ${megabytes('VmHWM')} MB (${megabytes('RssFile')} MB of it shared pages of programs)`;
}
