import { readFile } from 'node:fs/promises';
import type { ContainerLogging, ProcessStream } from '#engine';
import { summarize, table, timed } from '../statistics.ts';
import { StreamsNode } from './node.ts';

/**
 * What passes between processes in containers and who looks on, without the product around it: bytes a second from a container through the agent, the worker
 * and the log to one consumer; the time of an exec of /bin/true. Needs root and a build. Usage: npm run bench:streams -- [MB] [execs]
 */
const megabytes = Number(process.argv[2] ?? 1000);
const execs = Number(process.argv[3] ?? 300);
const NOT_KEPT: ContainerLogging = { driver: 'none', options: {} };

const node = await StreamsNode.open();
try {
  const rows: string[][] = [];
  const zeros = ['dd', 'if=/dev/zero', 'bs=100000', `count=${String(megabytes * 10)}`, 'status=none'];
  rows.push(await stream('dd, log kept', zeros, megabytes * 1e6));
  rows.push(await stream('dd, log not kept', zeros, megabytes * 1e6, NOT_KEPT));
  rows.push(await stream('yes', ['sh', '-c', `yes | head -c ${String(megabytes)}000000`], megabytes * 1e6));
  rows.push(await stream('lines of 7 bytes, each a write', ['sh', '-c', 'i=0; while [ $i -lt 200000 ]; do i=$((i+1)); echo abcdef; done'], 200_000 * 7));
  rows.push(await echo(Math.ceil(megabytes / 4)));
  console.log(table(['', 'MB/s', 'CPU s of the worker'], rows));
  const id = await node.create(['sleep', '1000000']);
  await node.start(id);
  const samples: number[] = [];
  for (let round = -20; round < execs; round += 1) {
    const ms = await timed(() => node.exec(id, ['/bin/true']));
    if (round >= 0) samples.push(ms);
  }
  const { min, p50, p99, max } = summarize(samples);
  console.log(`\nexec of /bin/true, one after the other, from the wish to the exit code: min ${min.toFixed(2)} ms, p50 ${p50.toFixed(2)} ms, p99 ${p99.toFixed(2)} ms, max ${max.toFixed(2)} ms`);
  const burst = await timed(async () => { await Promise.all(Array.from({ length: 50 }, () => node.exec(id, ['/bin/true']))); });
  console.log(`50 at once: ${burst.toFixed(1)} ms`);
} finally {
  await node.close();
}

async function stream(name: string, command: readonly string[], expected: number, logging?: ContainerLogging): Promise<string[]> {
  const id = await node.create(command, logging);
  const attached = await node.attach(id);
  const before = await cpuSeconds();
  let bytes = 0;
  const ms = await timed(async () => {
    await node.start(id);
    bytes = await countBytes(attached);
  });
  const cpu = (await cpuSeconds()) - before;
  await node.remove(id);
  if (bytes !== expected) throw new Error(`${name}: ${String(bytes)} bytes came`);
  return [name, (bytes / 1000 / ms).toFixed(0), cpu.toFixed(1)];
}

/** Into a process and back out. */
async function echo(size: number): Promise<string[]> {
  const id = await node.create(['sleep', '1000000']);
  await node.start(id);
  const block = Buffer.alloc(1_000_000, 'x');
  const before = await cpuSeconds();
  const ms = await timed(async () => {
    const attached = await node.openExec(id, ['cat']);
    const counting = countBytes(attached);
    for (let sent = 0; sent < size; sent += 1) await attached.write(block);
    await attached.end();
    if ((await counting) !== size * block.length) throw new Error('bytes were lost');
  });
  const cpu = (await cpuSeconds()) - before;
  await node.remove(id);
  return ['through cat', ((size * 1000) / ms).toFixed(0), cpu.toFixed(1)];
}

async function countBytes(attached: ProcessStream): Promise<number> {
  let bytes = 0;
  for await (const chunk of attached.output()) bytes += chunk.bytes.length;
  return bytes;
}

/** Of this process: proc_pid_stat(5), fields 14 and 15, ticks of 10 ms. */
async function cpuSeconds(): Promise<number> {
  const stat = await readFile('/proc/self/stat', 'latin1');
  const [user, system] = stat.slice(stat.lastIndexOf(')') + 2).split(' ').slice(11, 13);
  return (Number(user) + Number(system)) / 100;
}
