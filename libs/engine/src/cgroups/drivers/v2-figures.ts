import { flatCounters, readNumber, readText, readTextIfAny } from '../cgroup-files.js';
import type { CgroupFigures } from '../cgroups.js';

const NS_PER_US = 1000;

/** @param fileOf the path of one of its files */
export async function readV2Figures(fileOf: (name: string) => string): Promise<CgroupFigures> {
  const [cpuText, usageBytes, limit, peak, events, memory] = await Promise.all([
    readText(fileOf('cpu.stat')),
    readNumber(fileOf('memory.current')),
    readText(fileOf('memory.max')),
    readTextIfAny(fileOf('memory.peak')),
    readText(fileOf('memory.events')),
    readText(fileOf('memory.stat')),
  ]);
  const [current, most, io] = await Promise.all([readNumber(fileOf('pids.current')), readText(fileOf('pids.max')), readTextIfAny(fileOf('io.stat'))]);
  const cpu = flatCounters(cpuText);
  const nanoseconds = (name: string): number => (cpu[name] ?? 0) * NS_PER_US;
  return {
    cpu: { totalNs: nanoseconds('usage_usec'), userNs: nanoseconds('user_usec'), kernelNs: nanoseconds('system_usec') },
    throttling: { periods: cpu['nr_periods'] ?? 0, throttledPeriods: cpu['nr_throttled'] ?? 0, throttledNs: nanoseconds('throttled_usec') },
    memory: {
      usageBytes,
      limitBytes: numberOrNone(limit),
      peakBytes: peak === undefined ? usageBytes : Number(peak),
      failures: flatCounters(events)['max'] ?? 0,
      counters: flatCounters(memory),
    },
    pids: { current, limit: numberOrNone(most) },
    io: (io ?? '').split('\n').flatMap(ioOf),
  };
}

function numberOrNone(text: string): number {
  return text === 'max' ? Infinity : Number(text);
}

/** A line `8:0 rbytes=1 wbytes=2 rios=3 wios=4 …`. */
function ioOf(line: string): CgroupFigures['io'] {
  const [device = '', ...pairs] = line.split(' ');
  const [major, minor] = device.split(':').map(Number);
  if (major === undefined || minor === undefined || pairs.length === 0) return [];
  const values = new Map(pairs.map((pair) => [pair.slice(0, pair.indexOf('=')), Number(pair.slice(pair.indexOf('=') + 1))]));
  const value = (name: string): number => values.get(name) ?? 0;
  return [{ major, minor, readBytes: value('rbytes'), writtenBytes: value('wbytes'), reads: value('rios'), writes: value('wios') }];
}
