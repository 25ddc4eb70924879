import { summarize, table, throughput, timed } from '../statistics.ts';
import { EngineNode } from './node.ts';

/**
 * The engine without the product around it: how long a sandbox takes to be made and removed, how many a second, and whose CPU time that
 * is. Needs root and a build. Usage: npm run bench:sandbox-create -- [rounds] [seconds of throughput] [tmpfs|disk]
 * `disk`: the writable layer lies on a loop-mounted ext4 disk, as a container's does.
 */
const rounds = Number(process.argv[2] ?? 100);
const throughputMs = Number(process.argv[3] ?? 4) * 1000;
const writable = process.argv[4] === 'disk' ? 'disk' : 'tmpfs';

const node = await EngineNode.open(writable);
try {
  for (let warmUp = 0; warmUp < 10; warmUp += 1) await node.cycle();
  const created: number[] = [];
  const destroyed: number[] = [];
  const cycles: number[] = [];
  for (let round = 0; round < rounds; round += 1) {
    const start = performance.now();
    const sandbox = await node.create();
    created.push(performance.now() - start);
    destroyed.push(await timed(() => sandbox.destroy()));
    cycles.push(await timed(() => node.cycle()));
  }
  const ms = (value: number): string => value.toFixed(1);
  console.log(`${String(rounds)} rounds, one after the other, writable layer on ${writable}; milliseconds\n`);
  console.log(
    table(
      ['', 'min', 'p50', 'p99', 'max'],
      Object.entries({ create: created, destroy: destroyed, 'create, run true, destroy': cycles }).map(([name, sample]) => {
        const { min, p50, p99, max } = summarize(sample);
        return [name, ...[min, p50, p99, max].map(ms)];
      }),
    ),
  );
  console.log('\ncreate, run true, destroy, at the same time; CPU milliseconds of each\n');
  const rows: string[][] = [];
  for (const concurrency of [1, 4, 16]) {
    const before = await node.cpu();
    let count = 0;
    const rate = await throughput(() => node.cycle().then(() => void (count += 1)), concurrency, throughputMs);
    const after = await node.cpu();
    rows.push([String(concurrency), rate.toFixed(1), ms((after.node - before.node) / count), ms((after.spawner - before.spawner) / count)]);
  }
  console.log(table(['at once', 'a second', 'CPU node', 'CPU spawner and below'], rows));
} finally {
  await node.close();
}
