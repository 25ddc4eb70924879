import { setTimeout as sleep } from 'node:timers/promises';
import { BenchDocker } from '../bench-docker.ts';
import { countOutput, dockerClient } from '../docker-client.ts';
import { SandbarInstance } from '../sandbar-instance.ts';
import { summarize, table, timed, type Summary } from '../statistics.ts';
import { idleBytes } from './idle-memory.ts';
import { ExecSocket } from './exec-socket.ts';

/**
 * Living containers by the same docker client against a running instance and against a Docker daemon with its bridge, the two in turn: `exec` in one
 * that runs, `run --rm`, a stream of output. And of ours alone: execs over WebSocket, as a client has them and inside the platform (from a request that is written on an
 * open connection to the exit frame on it), and the memory of idle containers.
 * Usage: npm run bench:containers -- [rounds] [MiB of the stream] [idle containers]
 */
const rounds = Number(process.argv[2] ?? 30);
const streamMiB = Number(process.argv[3] ?? 512);
const idle = Number(process.argv[4] ?? 100);
const IMAGE = 'bench';
/** Until a tenant may ask as often as it likes again. */
const REST_MS = 5000;

const sandbar = await SandbarInstance.find();
const docker = await BenchDocker.start({ bridged: true });
const subjects = [
  { name: 'sandbar', host: sandbar.dockerHost, environment: sandbar.dockerEnvironment },
  { name: 'docker', host: docker.host, environment: {} },
].map((subject) => ({ ...subject, client: dockerClient(subject.host, subject.environment), times: new Map<string, number[]>(), id: '' }));
try {
  const [ours, theirs] = subjects;
  if (ours === undefined || theirs === undefined) throw new Error('two subjects');
  await theirs.client(['save', '-o', '/tmp/bench-containers.tar', IMAGE]);
  await ours.client(['load', '-q', '-i', '/tmp/bench-containers.tar']);
  for (const subject of subjects) subject.id = await subject.client(['run', '-d', IMAGE, 'sleep', '1000000']);
  const works: readonly (readonly [string, (subject: (typeof subjects)[number]) => Promise<unknown>])[] = [
    ['docker version (the client itself)', ({ client }) => client(['version'])],
    ['docker exec true', ({ client, id }) => client(['exec', id, 'true'])],
    ['docker run --rm true', ({ client }) => client(['run', '--rm', IMAGE, 'true'])],
    ['docker run --rm --network none true', ({ client }) => client(['run', '--rm', '--network', 'none', IMAGE, 'true'])],
  ];
  for (let round = -2; round < rounds; round += 1) {
    for (const [what, work] of works) {
      for (const subject of subjects) {
        const time = await timed(async () => {
          await work(subject);
        });
        if (round >= 0) subject.times.set(what, [...(subject.times.get(what) ?? []), time]);
      }
    }
  }
  const ms = (value: number): string => value.toFixed(1);
  const row = (what: string): string[] => {
    const [a, b] = [ours, theirs].map((subject) => summarize(subject.times.get(what) ?? [])) as [Summary, Summary];
    return [what, ms(a.p50), ms(a.p99), ms(b.p50), ms(b.p99), `${(b.p50 / a.p50).toFixed(1)}x`];
  };
  console.log(`${docker.version}; ${String(rounds)} rounds in turn; milliseconds, the docker client's own start included\n`);
  console.log(table(['', 'ours p50', 'p99', 'docker p50', 'p99', 'docker / ours'], works.map(([what]) => row(what))));

  const bytes = streamMiB * 1024 * 1024;
  const rates: string[] = [];
  for (const { name, host, environment } of subjects) {
    let seen = 0;
    const time = await timed(async () => {
      seen = await countOutput(host, environment, ['run', '--rm', IMAGE, 'head', '-c', String(bytes), '/dev/zero']);
    });
    if (seen !== bytes) throw new Error(`${name}: ${String(seen)} of ${String(bytes)} bytes came`);
    rates.push(`${name} ${(bytes / 1e6 / (time / 1000)).toFixed(0)} MB/s`);
  }
  console.log(`\n${String(streamMiB)} MiB of output to one client, all of it arrived: ${rates.join(', ')}`);

  const socket = new ExecSocket(sandbar, ours.id);
  const rows: string[][] = [];
  await sleep(REST_MS);
  const take = async (what: string, once: () => Promise<number>): Promise<void> => {
    const latencies: number[] = [];
    for (let round = -10; round < rounds * 5; round += 1) {
      const time = await once();
      if (round >= 0) latencies.push(time);
    }
    await sleep(REST_MS);
    const { p50, p99 } = summarize(latencies);
    rows.push([what, p50.toFixed(2), p99.toFixed(2)]);
  };
  await take("sh -c true in a terminal, by the library ws, connecting and the client's own work included", () => timed(() => socket.run('shell')));
  await take('true with pipes, the same', () => timed(() => socket.run('program')));
  await take('true with pipes, from the request written on an open connection to the exit frame read from it', () => socket.bareMs('program'));
  await take('an upgrade that the gateway refuses at once, the same way: what any answer takes', () => socket.refusedMs());
  console.log(`\nexec over WebSocket, ours alone, one at a time, milliseconds\n\n${table(['', 'p50', 'p99'], rows)}`);
  const { perContainer, ownProcess } = await idleBytes(ours.client, { image: IMAGE, count: idle });
  console.log(`${String(idle)} idle containers: ${(perContainer / 1024 / 1024).toFixed(2)} MiB each beside the ${(ownProcess / 1024 / 1024).toFixed(2)} MiB of their own process`);
} finally {
  for (const { client, id } of subjects) if (id !== '') await client(['rm', '-f', id]).catch(() => undefined);
  await docker.stop();
}
