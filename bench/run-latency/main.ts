import { BenchDocker } from '../bench-docker.ts';
import { SandbarInstance } from '../sandbar-instance.ts';
import { summarize, table, throughput, timed, type Summary } from '../statistics.ts';

/**
 * A fresh sandbox that runs `true`, from the request to the answer, beside `docker run --network none`. The subjects take turns, so
 * that a drift of the machine's speed meets all of them. Usage: npm run bench:run-latency -- [rounds] [seconds of throughput]
 */
const rounds = Number(process.argv[2] ?? 100);
const throughputMs = Number(process.argv[3] ?? 8) * 1000;
const RUN = { runtime: 'bash', code: '', entry: ['/bin/true'] };

const sandbar = await SandbarInstance.find();
const docker = await BenchDocker.start();
try {
  const subjects = [
    { name: 'sandbar  POST /v1/runs?wait=true', work: () => sandbar.run(RUN).then(() => undefined) },
    { name: 'docker   run --rm --network none', work: () => docker.runByCli() },
    { name: 'docker   Engine API, no client', work: () => docker.runByApi() },
  ].map((subject) => ({ ...subject, latencies: [] as number[] }));

  for (let warmUp = 0; warmUp < 3; warmUp += 1) for (const { work } of subjects) await work();
  for (let round = 0; round < rounds; round += 1) {
    for (const { work, latencies } of subjects) latencies.push(await timed(work));
  }
  const summaries = subjects.map(({ latencies }) => summarize(latencies));
  const rates: number[][] = [];
  for (const { work } of subjects) {
    const perConcurrency: number[] = [];
    for (const concurrency of [1, 4, 16]) perConcurrency.push(await throughput(work, concurrency, throughputMs));
    rates.push(perConcurrency);
  }

  const ours = summaries[0];
  const ms = (value: number): string => value.toFixed(1);
  const ratio = (other: Summary): string => (ours === undefined ? '' : `${(other.p50 / ours.p50).toFixed(1)}x`);
  console.log(`${docker.version}; ${String(rounds)} rounds, the subjects in turn; milliseconds\n`);
  console.log(
    table(
      ['fresh sandbox, run true', 'min', 'p50', 'p99', 'max', 'p50 / ours', '/s c=1', '/s c=4', '/s c=16'],
      subjects.map(({ name }, index) => {
        const summary = summaries[index];
        if (summary === undefined) return [name];
        return [name, ms(summary.min), ms(summary.p50), ms(summary.p99), ms(summary.max), ratio(summary), ...(rates[index] ?? []).map((rate) => rate.toFixed(1))];
      }),
    ),
  );
} finally {
  await docker.stop();
}
