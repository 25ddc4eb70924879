import { z } from 'zod';

const KiB = 1024;
const MiB = 1024 * KiB;
const GiB = 1024 * MiB;

interface Bound {
  readonly min: number;
  readonly max: number;
  readonly default: number;
  readonly description: string;
}

/** Bounds of what one run may ask for. A tenant's own maximum (see `TenantLimits`) may be lower. */
export const RUN_LIMIT_BOUNDS = {
  cpuTimeMs: { min: 10, max: 300_000, default: 10_000, description: 'CPU time of all processes of a step together, milliseconds.' },
  wallTimeMs: { min: 10, max: 900_000, default: 20_000, description: 'Elapsed time of a step, milliseconds.' },
  memoryBytes: { min: 16 * MiB, max: 4 * GiB, default: 256 * MiB, description: 'Memory of all processes and of the files the run writes (they live in memory), bytes.' },
  pids: { min: 1, max: 4096, default: 64, description: 'Processes and threads alive at once.' },
  outputBytes: { min: 0, max: 16 * MiB, default: 1 * MiB, description: 'stdout and stderr of a step together, bytes. More ends the run as output_exceeded.' },
  diskBytes: { min: 1 * MiB, max: 2 * GiB, default: 64 * MiB, description: 'Size of the writable layer, bytes. Writes beyond fail with ENOSPC.' },
  openFiles: { min: 16, max: 65_536, default: 256, description: 'Open file descriptors of one process (RLIMIT_NOFILE).' },
  cpuMillis: { min: 50, max: 64_000, default: 1000, description: 'CPU rate, thousandths of one CPU.' },
} as const satisfies Record<string, Bound>;

export type RunLimitName = keyof typeof RUN_LIMIT_BOUNDS;
export type RunLimits = Record<RunLimitName, number>;

export const RUN_LIMIT_NAMES = Object.keys(RUN_LIMIT_BOUNDS) as readonly RunLimitName[];

function limit(bound: Bound) {
  return z.int().min(bound.min).max(bound.max).default(bound.default).describe(bound.description);
}

export const runLimitsSchema = z.strictObject({
  cpuTimeMs: limit(RUN_LIMIT_BOUNDS.cpuTimeMs),
  wallTimeMs: limit(RUN_LIMIT_BOUNDS.wallTimeMs),
  memoryBytes: limit(RUN_LIMIT_BOUNDS.memoryBytes),
  pids: limit(RUN_LIMIT_BOUNDS.pids),
  outputBytes: limit(RUN_LIMIT_BOUNDS.outputBytes),
  diskBytes: limit(RUN_LIMIT_BOUNDS.diskBytes),
  openFiles: limit(RUN_LIMIT_BOUNDS.openFiles),
  cpuMillis: limit(RUN_LIMIT_BOUNDS.cpuMillis),
});
