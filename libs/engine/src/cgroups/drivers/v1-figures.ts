import { join } from 'node:path';
import { flatCounters, readNumber, readText, readTextIfAny } from '../cgroup-files.js';
import type { CgroupFigures } from '../cgroups.js';

type FileOf = (controller: 'memory' | 'pids' | 'cpu' | 'cpuacct', name: string) => string;

/** "No limit" is the largest number of pages (mm/page_counter.c). */
const NO_LIMIT = 2 ** 62;

/** @param blkioDir where there is one */
export async function readV1Figures(fileOf: FileOf, blkioDir: string | undefined): Promise<CgroupFigures> {
  const [total, user, kernel, perCpu, cpu] = await Promise.all([
    readNumber(fileOf('cpuacct', 'cpuacct.usage')),
    readNumber(fileOf('cpuacct', 'cpuacct.usage_user')),
    readNumber(fileOf('cpuacct', 'cpuacct.usage_sys')),
    readText(fileOf('cpuacct', 'cpuacct.usage_percpu')),
    readText(fileOf('cpu', 'cpu.stat')),
  ]);
  const [usageBytes, peakBytes, failures, limitBytes, memory] = await Promise.all([
    readNumber(fileOf('memory', 'memory.usage_in_bytes')),
    readNumber(fileOf('memory', 'memory.max_usage_in_bytes')),
    readNumber(fileOf('memory', 'memory.failcnt')),
    readNumber(fileOf('memory', 'memory.limit_in_bytes')),
    readText(fileOf('memory', 'memory.stat')),
  ]);
  const [current, limit] = await Promise.all([readNumber(fileOf('pids', 'pids.current')), readText(fileOf('pids', 'pids.max'))]);
  const throttling = flatCounters(cpu);
  return {
    cpu: { totalNs: total, userNs: user, kernelNs: kernel, perCpuNs: perCpu.split(/\s+/).map(Number) },
    throttling: { periods: throttling['nr_periods'] ?? 0, throttledPeriods: throttling['nr_throttled'] ?? 0, throttledNs: throttling['throttled_time'] ?? 0 },
    memory: { usageBytes, limitBytes: limitBytes >= NO_LIMIT ? Infinity : limitBytes, peakBytes, failures, counters: flatCounters(memory) },
    pids: { current, limit: limit === 'max' ? Infinity : Number(limit) },
    io: blkioDir === undefined ? [] : await readIo(blkioDir),
  };
}

/** Lines `8:0 Read 4096`. */
async function readIo(dir: string): Promise<CgroupFigures['io']> {
  const [bytes, counts] = await Promise.all(['blkio.throttle.io_service_bytes_recursive', 'blkio.throttle.io_serviced_recursive'].map((name) => readTextIfAny(join(dir, name))));
  const devices = new Map<string, { read: [number, number]; write: [number, number] }>();
  [bytes, counts].forEach((text, which) => {
    for (const line of (text ?? '').split('\n')) {
      const [device = '', operation, value] = line.split(' ');
      const kind = operation === 'Read' ? 'read' : operation === 'Write' ? 'write' : undefined;
      if (kind === undefined) continue;
      const entry = devices.get(device) ?? { read: [0, 0], write: [0, 0] };
      entry[kind][which] = Number(value);
      devices.set(device, entry);
    }
  });
  return [...devices].map(([device, { read, write }]) => {
    const [major = 0, minor = 0] = device.split(':').map(Number);
    return { major, minor, readBytes: read[0], reads: read[1], writtenBytes: write[0], writes: write[1] };
  });
}
