import { z } from 'zod';
import { RUN_LIMIT_BOUNDS } from './run-limits.js';

const argvSchema = z.array(z.string().min(1)).min(1);

/**
 * One file `infra/runtimes/<name>/runtime.json`: a language and how to run it; the Dockerfile beside it makes its root file system. In argv, `{main}` stands for the main file's path in the
 * working folder and `{sources}` (an argument of its own) for every file given whose name ends in one of `sourceExtensions`.
 */
export const runtimeDefinitionSchema = z.strictObject({
  name: z.string().regex(/^[a-z0-9][a-z0-9+.-]{0,63}$/),
  title: z.string(),
  aliases: z.array(z.string().regex(/^[a-z0-9][a-z0-9+.-]{0,63}$/)).default([]),
  /** Whether every installation has it; others come by `sandbar runtimes install`. */
  default: z.boolean().default(false),
  mainFile: z.string().regex(/^[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}$/, 'is a plain file name'),
  sourceExtensions: z.array(z.string().regex(/^\.[A-Za-z0-9+]{1,16}$/, 'is a dot and letters')).default([]),
  compile: z
    .strictObject({
      argv: argvSchema,
      /** Compilers need more than the programs they make: a step never gets less than this. */
      limits: z.strictObject({
        cpuTimeMs: z.int().min(1).max(RUN_LIMIT_BOUNDS.cpuTimeMs.max).default(30_000),
        wallTimeMs: z.int().min(1).max(RUN_LIMIT_BOUNDS.wallTimeMs.max).default(60_000),
        memoryBytes: z.int().min(1).max(RUN_LIMIT_BOUNDS.memoryBytes.max).default(512 * 1024 * 1024),
        pids: z.int().min(1).max(RUN_LIMIT_BOUNDS.pids.max).default(64),
      }).prefault({}),
    })
    .optional(),
  run: argvSchema,
  env: z.record(z.string(), z.string()).default({}),
  /** A command whose first line of output is shown as the version. */
  versionCommand: argvSchema,
  /** What is run before the runtime is offered, and what it must print. */
  example: z.strictObject({ code: z.string(), stdout: z.string() }),
});
export type RuntimeDefinition = z.infer<typeof runtimeDefinitionSchema>;

export const runtimeViewSchema = z.object({
  name: z.string(),
  title: z.string(),
  aliases: z.array(z.string()),
  version: z.string(),
  mainFile: z.string(),
  compiled: z.boolean(),
});
export type RuntimeView = z.infer<typeof runtimeViewSchema>;

/** A language that is defined and not installed. */
export const availableRuntimeSchema = z.object({ name: z.string(), title: z.string() });
export type AvailableRuntime = z.infer<typeof availableRuntimeSchema>;

export const runtimeListSchema = z.object({
  /** What runs can use. */
  items: z.array(runtimeViewSchema),
  available: z.array(availableRuntimeSchema),
});
export type RuntimeList = z.infer<typeof runtimeListSchema>;

/** How one node stands to a language. */
export const runtimeStateSchema = z.object({
  name: z.string(),
  state: z.enum(['installed', 'available', 'waiting', 'installing', 'failed']),
  /** Of an installation under way. */
  percent: z.number().min(0).max(100),
  /** What it does, or why it failed. */
  message: z.string().max(4096),
});
export type RuntimeState = z.infer<typeof runtimeStateSchema>;

/** How the live nodes stand to a language: it can be used when all of them have it. */
export const runtimeInstallViewSchema = z.object({
  name: z.string(),
  nodes: z.array(runtimeStateSchema.omit({ name: true }).extend({ nodeId: z.string() })),
});
export type RuntimeInstallView = z.infer<typeof runtimeInstallViewSchema>;
