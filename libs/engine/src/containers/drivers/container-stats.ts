import { readFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { isCodedError } from '#kernel';
import type { Sandbox } from '../../runtime/index.js';
import type { ContainerStats, NetworkCounters } from '../containers.js';

const PERIOD_MS = 1000;
/** Whoever asks so soon after another sees the same. */
const SHARED_MS = 900;
/** The agent is no process of the container's. */
const AGENT_PIDS = 1;
const NS_PER_TICK = 10_000_000;

export interface StatsSubject {
  readonly id: string;
  readonly name: string;
  /** Undefined: it does not run. */
  readonly sandbox: Sandbox | undefined;
}

/** The figures of one container, looked at once a second at most, however many look on. */
export class ContainerStatsSource {
  private last: { readonly at: number; readonly stats: Promise<ContainerStats> } | undefined;

  /** @param subject undefined: it is removed */
  constructor(private readonly subject: () => StatsSubject | undefined) {}

  async *follow({ once }: { readonly once: boolean }, signal: AbortSignal): AsyncGenerator<ContainerStats> {
    while (!signal.aborted) {
      const subject = this.subject();
      if (subject === undefined) return;
      yield await this.sample(subject);
      if (once) return;
      await sleep(PERIOD_MS, undefined, { signal }).catch(() => undefined);
    }
  }

  private sample(subject: StatsSubject): Promise<ContainerStats> {
    const now = performance.now();
    if (this.last === undefined || now - this.last.at >= SHARED_MS) this.last = { at: now, stats: look(subject) };
    return this.last.stats;
  }
}

async function look({ id, name, sandbox }: StatsSubject): Promise<ContainerStats> {
  const nothing = noStats(id, name);
  if (sandbox === undefined) return nothing;
  try {
    const [{ cpu, throttling, memory, pids, io }, stat, networks] = await Promise.all([sandbox.figures(), readFile('/proc/stat', 'latin1'), networkCounters(sandbox)]);
    const { perCpuNs = [], ...times } = cpu;
    return {
      id,
      name,
      readAt: Date.now(),
      cgroupVersion: cpu.perCpuNs === undefined ? 2 : 1,
      cpu: { ...times, perCpuNs, throttling, ...nodeCpu(stat) },
      memory: { ...memory, limitBytes: finite(memory.limitBytes) },
      pids: { current: Math.max(0, pids.current - AGENT_PIDS), limit: Math.max(0, finite(pids.limit) - AGENT_PIDS) },
      io,
      networks,
    };
  } catch (error) {
    // It has just ended.
    if (isCodedError(error, 'not_found')) return nothing;
    throw error;
  }
}

function noStats(id: string, name: string): ContainerStats {
  return {
    id,
    name,
    readAt: 0,
    cgroupVersion: 2,
    cpu: { totalNs: 0, userNs: 0, kernelNs: 0, perCpuNs: [], systemNs: 0, onlineCpus: 0, throttling: { periods: 0, throttledPeriods: 0, throttledNs: 0 } },
    memory: { usageBytes: 0, peakBytes: 0, failures: 0, limitBytes: 0, counters: {} },
    pids: { current: 0, limit: 0 },
    io: [],
    networks: {},
  };
}

function finite(limit: number): number {
  return Number.isFinite(limit) ? limit : 0;
}

/** The first eight columns of /proc/stat; guests' time is counted in them (proc_stat(5)). */
function nodeCpu(stat: string): { systemNs: number; onlineCpus: number } {
  const ticks = (/^cpu +(.*)$/m.exec(stat)?.[1] ?? '').split(' ').slice(0, 8).map(Number);
  return { systemNs: ticks.reduce((sum, each) => sum + each, 0) * NS_PER_TICK, onlineCpus: stat.match(/^cpu\d+ /gm)?.length ?? 0 };
}

async function networkCounters(sandbox: Sandbox): Promise<Record<string, NetworkCounters>> {
  return parseNetDev(await readFile(`/proc/${sandbox.pid}/net/dev`, 'latin1').catch(() => ''));
}

/** Two lines of head, then `name: 8 numbers received, 8 sent` (proc_pid_net(5)). */
export function parseNetDev(text: string): Record<string, NetworkCounters> {
  const networks: Record<string, NetworkCounters> = {};
  for (const line of text.split('\n').slice(2)) {
    const [, name, numbers] = /^\s*(\S+):\s*(.*)$/.exec(line) ?? [];
    if (name === undefined || numbers === undefined || name === 'lo') continue;
    const [rxBytes = 0, rxPackets = 0, rxErrors = 0, rxDropped = 0, , , , , txBytes = 0, txPackets = 0, txErrors = 0, txDropped = 0] = numbers.trim().split(/\s+/).map(Number);
    networks[name] = { rxBytes, rxPackets, rxErrors, rxDropped, txBytes, txPackets, txErrors, txDropped };
  }
  return networks;
}
