import { z } from 'zod';

/** What a sandbox takes, at one moment. Counters count from its start. */
export const sandboxStatsSchema = z.object({
  time: z.iso.datetime(),
  running: z.boolean().describe('false: all figures are 0.'),
  cpu: z.object({
    timeMs: z.number().describe('Of all its processes.'),
    userMs: z.number(),
    kernelMs: z.number(),
    throttledMs: z.number().describe('It wanted to go on and had used up its share.'),
  }),
  memory: z.object({
    usedBytes: z.int().describe('Without what the kernel would give back at once (its cache of files).'),
    peakBytes: z.int(),
    limitBytes: z.int(),
  }),
  pids: z.object({ current: z.int(), limit: z.int().describe('0: none of its own.') }),
  disk: z.object({ readBytes: z.int(), writtenBytes: z.int() }),
  network: z.object({ receivedBytes: z.int(), sentBytes: z.int() }),
});
export type SandboxStats = z.infer<typeof sandboxStatsSchema>;
