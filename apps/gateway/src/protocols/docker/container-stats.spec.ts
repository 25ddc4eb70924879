import type { ContainerStatsView } from '#contracts';
import { toDockerStats } from './container-stats.js';

const stats = (more: Partial<ContainerStatsView> = {}): ContainerStatsView => ({
  id: 'c', name: 'one', readAt: 1000, cgroupVersion: 1,
  cpu: { totalNs: 5, userNs: 3, kernelNs: 2, perCpuNs: [4, 1], systemNs: 100, onlineCpus: 2, throttling: { periods: 1, throttledPeriods: 2, throttledNs: 3 } },
  memory: { usageBytes: 10, peakBytes: 20, failures: 1, limitBytes: 30, counters: { total_inactive_file: 4 } },
  pids: { current: 1, limit: 9 },
  io: [{ major: 8, minor: 1, readBytes: 1, writtenBytes: 2, reads: 3, writes: 4 }],
  networks: { eth0: { rxBytes: 1, rxPackets: 2, rxErrors: 3, rxDropped: 4, txBytes: 5, txPackets: 6, txErrors: 7, txDropped: 8 } },
  ...more,
});
const nothing = stats({ readAt: 0, io: [], networks: {} });

describe('the figures of a container', () => {
  it('have what was a second ago beside them', () => {
    expect(toDockerStats(stats({ readAt: 2000, cpu: { ...stats().cpu, totalNs: 9 } }), stats())).toMatchObject({
      read: '1970-01-01T00:00:02Z',
      preread: '1970-01-01T00:00:01Z',
      name: '/one',
      id: 'c',
      cpu_stats: { cpu_usage: { total_usage: 9, percpu_usage: [4, 1], usage_in_kernelmode: 2, usage_in_usermode: 3 }, system_cpu_usage: 100, online_cpus: 2, throttling_data: { periods: 1, throttled_periods: 2, throttled_time: 3 } },
      precpu_stats: { cpu_usage: { total_usage: 5 } },
      memory_stats: { usage: 10, max_usage: 20, failcnt: 1, limit: 30, stats: { total_inactive_file: 4 } },
      pids_stats: { current: 1, limit: 9 },
      blkio_stats: { io_service_bytes_recursive: [{ major: 8, minor: 1, op: 'read', value: 1 }, { major: 8, minor: 1, op: 'write', value: 2 }], io_queue_recursive: null },
      networks: { eth0: { rx_bytes: 1, tx_dropped: 8 } },
    });
  });

  it("have the members of the cgroups' version", () => {
    expect(toDockerStats(stats({ cgroupVersion: 2 }), undefined)).toMatchObject({ memory_stats: { usage: 10, limit: 30 }, preread: '0001-01-01T00:00:00Z', precpu_stats: { cpu_usage: { total_usage: 0 } } });
    expect(Object.keys((toDockerStats(stats({ cgroupVersion: 2 }), undefined) as { memory_stats: object }).memory_stats).sort()).toEqual(['limit', 'stats', 'usage']);
  });

  it('are empty of what does not run, now or before', () => {
    expect(toDockerStats(nothing, stats())).toMatchObject({ read: '0001-01-01T00:00:00Z', preread: '0001-01-01T00:00:00Z', pids_stats: {}, memory_stats: {}, cpu_stats: { cpu_usage: { total_usage: 0 } }, precpu_stats: { cpu_usage: { total_usage: 0 } } });
    expect(toDockerStats(nothing, undefined)).not.toHaveProperty('networks');
    expect(toDockerStats(stats(), nothing)).toMatchObject({ precpu_stats: { cpu_usage: { total_usage: 0 } } });
  });
});
