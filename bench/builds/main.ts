import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { BenchDocker } from '../bench-docker.ts';
import { dockerClient } from '../docker-client.ts';
import { SandbarInstance } from '../sandbar-instance.ts';
import { summarize, table, timed } from '../statistics.ts';
import { BuildahBuilds, DockerBuilds, type ImageBuilder } from './builders.ts';
import { ContextSink } from './context-sink.ts';
import { LARGE, makeContexts, MORE_STEPS } from './contexts.ts';

/**
 * Builds of the same folders by a running instance, by Docker's classic builder and by buildah, the three in turn: what a step costs, a rebuild of what is
 * known, a large context, two stages that do not need each other, a small image from nothing. Of the context three times are told: by Docker's client, which walks the files and
 * sends each in three chunks (buildah sends none: it reads what is copied); by that client alone, to one who takes it and does nothing, which is the most that the first can be; and of the same files as a tar that is sent by curl. Usage: npm run bench:builds -- [rounds]
 */
const rounds = Number(process.argv[2] ?? 5);

const sandbar = await SandbarInstance.find();
const docker = await BenchDocker.start();
const buildah = new BuildahBuilds();
const sink = await ContextSink.start();
const client = new DockerBuilds('client', sink.host);
const folder = mkdtempSync(join(tmpdir(), 'bench-builds-'));
const builders: readonly ImageBuilder[] = [new DockerBuilds('sandbar', sandbar.dockerHost, sandbar.dockerEnvironment, sandbar.headers), new DockerBuilds('docker', docker.host), buildah];
const times = new Map<string, number[]>();
try {
  const archive = join(folder, 'bench.tar');
  await dockerClient(docker.host)(['save', '-o', archive, 'bench']);
  const contexts = makeContexts(folder);
  for (const builder of builders) {
    await builder.load(archive);
    await builder.build(contexts.cached, { fresh: false });
    await builder.build(contexts.oneTrue, { fresh: true });
  }
  for (let round = 0; round < rounds; round += 1) {
    for (const builder of builders) await measureAll(builder, contexts);
    note(client, 'large', await timed(() => client.build(contexts.large, { fresh: true })));
  }
  report();
} finally {
  for (const builder of builders) await builder.clean().catch(() => undefined);
  await sink.stop();
  buildah.remove();
  rmSync(folder, { recursive: true, force: true });
  await docker.stop();
}

async function measureAll(builder: ImageBuilder, contexts: ReturnType<typeof makeContexts>): Promise<void> {
  const built = (context: string, fresh = true): Promise<number> => timed(() => builder.build(context, { fresh }));
  const one = await built(contexts.oneTrue);
  note(builder, 'step', ((await built(contexts.manyTrue)) - one) / MORE_STEPS);
  note(builder, 'one step', one);
  note(builder, 'cached', await built(contexts.cached, false));
  note(builder, 'large', await built(contexts.large));
  if (builder.send !== undefined) note(builder, 'tar', await timed(async () => builder.send?.(contexts.largeTar)));
  note(builder, 'stages', (await built(contexts.twoStages)) / (await built(contexts.oneStage)));
  note(builder, 'small', await built(contexts.manySteps));
}

function note({ name }: Pick<ImageBuilder, 'name'>, what: string, value: number): void {
  const key = `${name}: ${what}`;
  times.set(key, [...(times.get(key) ?? []), value]);
}

function report(): void {
  const p50 = (builder: string, what: string): number | undefined => {
    const measured = times.get(`${builder}: ${what}`);
    return measured === undefined ? undefined : summarize(measured).p50;
  };
  const perSecond = (ms: number): string => ((LARGE.files * LARGE.fileBytes) / 1e6 / (ms / 1000)).toFixed(0);
  const rows: readonly (readonly [title: string, what: string, show: (value: number) => string])[] = [
    ['a RUN true step, of eleven (ms)', 'step', (value) => value.toFixed(0)],
    ['a build of one step (ms)', 'one step', (value) => value.toFixed(0)],
    ['20 known steps again (ms)', 'cached', (value) => value.toFixed(0)],
    ["20,000 files, 200 MB, by docker's client or buildah (MB/s)", 'large', perSecond],
    ['the same files as a tar, by curl (MB/s)', 'tar', perSecond],
    ['two stages in the time of one (x)', 'stages', (value) => value.toFixed(2)],
    ['ten steps from nothing (ms)', 'small', (value) => value.toFixed(0)],
  ];
  const version = spawnSync('buildah', ['--version'], { encoding: 'utf8' }).stdout.trim();
  console.log(`${docker.version}; ${version}; ${String(rounds)} rounds in turn; p50, the clients' own start included\n`);
  const cells = rows.map(([title, what, show]) => {
    const [ours, theirs, others] = builders.map(({ name }) => p50(name, what));
    const shown = (value: number | undefined): string => (value === undefined ? '-' : show(value));
    const times = (value: number | undefined): string => (value === undefined || ours === undefined ? '-' : `${(value / ours).toFixed(1)}x`);
    return [title, shown(ours), shown(theirs), shown(others), times(theirs), times(others)];
  });
  console.log(table(['', 'ours', 'docker', 'buildah', 'docker / ours', 'buildah / ours'], cells));
  const alone = p50(client.name, 'large');
  if (alone !== undefined) console.log(`\ndocker's client alone sends the files at ${perSecond(alone)} MB/s to one who only takes them`);
}
