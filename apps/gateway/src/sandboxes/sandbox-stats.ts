import type { ContainerStatsView, SandboxStats } from '#contracts';

const NS_PER_MS = 1_000_000;

/** A node's figures in the words of the REST API. */
export function toSandboxStats({ readAt, cpu, memory, pids, io, networks }: ContainerStatsView, now: number): SandboxStats {
  // What cgroup v1 calls total_inactive_file, v2 calls inactive_file.
  const cacheBytes = memory.counters['total_inactive_file'] ?? memory.counters['inactive_file'] ?? 0;
  return {
    time: new Date(readAt === 0 ? now : readAt).toISOString(),
    running: readAt !== 0,
    cpu: { timeMs: cpu.totalNs / NS_PER_MS, userMs: cpu.userNs / NS_PER_MS, kernelMs: cpu.kernelNs / NS_PER_MS, throttledMs: cpu.throttling.throttledNs / NS_PER_MS },
    memory: { usedBytes: Math.max(0, memory.usageBytes - cacheBytes), peakBytes: memory.peakBytes, limitBytes: memory.limitBytes },
    pids: { current: pids.current, limit: pids.limit },
    disk: { readBytes: sum(io, ({ readBytes }) => readBytes), writtenBytes: sum(io, ({ writtenBytes }) => writtenBytes) },
    network: { receivedBytes: sum(Object.values(networks), ({ rxBytes }) => rxBytes), sentBytes: sum(Object.values(networks), ({ txBytes }) => txBytes) },
  };
}

function sum<T>(items: readonly T[], of: (item: T) => number): number {
  return items.reduce((total, item) => total + of(item), 0);
}
