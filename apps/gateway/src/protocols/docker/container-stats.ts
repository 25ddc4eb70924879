import type { ContainerStatsView } from '#contracts';
import { rfc3339Nano, ZERO_TIME } from './times.js';

const NO_CPU = { cpu_usage: { total_usage: 0, usage_in_kernelmode: 0, usage_in_usermode: 0 }, throttling_data: { periods: 0, throttled_periods: 0, throttled_time: 0 } };

/** Docker's figures of a container; `before`: those of a second ago, from which its clients tell shares. */
export function toDockerStats(stats: ContainerStatsView, before: ContainerStatsView | undefined): object {
  const { readAt, pids, io, networks } = stats;
  const earlier = before === undefined || before.readAt === 0 || readAt === 0 ? undefined : before;
  return {
    read: readAt === 0 ? ZERO_TIME : rfc3339Nano(readAt),
    preread: earlier === undefined ? ZERO_TIME : rfc3339Nano(earlier.readAt),
    pids_stats: readAt === 0 ? {} : { current: pids.current, ...(pids.limit === 0 ? {} : { limit: pids.limit }) },
    blkio_stats: blockIo(io),
    num_procs: 0,
    storage_stats: {},
    cpu_stats: readAt === 0 ? NO_CPU : cpuStats(stats),
    precpu_stats: earlier === undefined ? NO_CPU : cpuStats(earlier),
    memory_stats: readAt === 0 ? {} : memoryStats(stats),
    name: `/${stats.name}`,
    id: stats.id,
    ...(Object.keys(networks).length === 0 ? {} : { networks: Object.fromEntries(Object.entries(networks).map(([name, counters]) => [name, networkStats(counters)])) }),
  };
}

function cpuStats({ cpu }: ContainerStatsView): object {
  const { throttling } = cpu;
  return {
    cpu_usage: {
      total_usage: cpu.totalNs,
      ...(cpu.perCpuNs.length === 0 ? {} : { percpu_usage: cpu.perCpuNs }),
      usage_in_kernelmode: cpu.kernelNs,
      usage_in_usermode: cpu.userNs,
    },
    system_cpu_usage: cpu.systemNs,
    online_cpus: cpu.onlineCpus,
    throttling_data: { periods: throttling.periods, throttled_periods: throttling.throttledPeriods, throttled_time: throttling.throttledNs },
  };
}

/** By the names of the version, from which clients tell it. */
function memoryStats({ memory, cgroupVersion }: ContainerStatsView): object {
  const { usageBytes, peakBytes, failures, limitBytes, counters } = memory;
  return { usage: usageBytes, ...(cgroupVersion === 1 ? { max_usage: peakBytes, failcnt: failures } : {}), stats: counters, limit: limitBytes };
}

function blockIo(io: ContainerStatsView['io']): object {
  const entries = (read: (entry: ContainerStatsView['io'][number]) => number, write: (entry: ContainerStatsView['io'][number]) => number): object[] | null =>
    io.length === 0 ? null : io.flatMap((entry) => [['read', read(entry)], ['write', write(entry)]].map(([op, value]) => ({ major: entry.major, minor: entry.minor, op, value })));
  return {
    io_service_bytes_recursive: entries((entry) => entry.readBytes, (entry) => entry.writtenBytes),
    io_serviced_recursive: entries((entry) => entry.reads, (entry) => entry.writes),
    io_queue_recursive: null,
    io_service_time_recursive: null,
    io_wait_time_recursive: null,
    io_merged_recursive: null,
    io_time_recursive: null,
    sectors_recursive: null,
  };
}

function networkStats(counters: ContainerStatsView['networks'][string]): object {
  return {
    rx_bytes: counters.rxBytes,
    rx_packets: counters.rxPackets,
    rx_errors: counters.rxErrors,
    rx_dropped: counters.rxDropped,
    tx_bytes: counters.txBytes,
    tx_packets: counters.txPackets,
    tx_errors: counters.txErrors,
    tx_dropped: counters.txDropped,
  };
}
