import { z } from 'zod';
import { RUN_LIMIT_BOUNDS } from './run-limits.js';

const argvSchema = z.array(z.string().min(1)).min(1);

/**
 * One file `infra/runtimes/<name>.json`: a language and how to run it. In argv, `{main}` stands for the main file's path in the
 * working folder and `{sources}` (an argument of its own) for every file given whose name ends in one of `sourceExtensions`.
 */
export const runtimeDefinitionSchema = z.strictObject({
  name: z.string().regex(/^[a-z0-9][a-z0-9+.-]{0,63}$/),
  title: z.string(),
  aliases: z.array(z.string().regex(/^[a-z0-9][a-z0-9+.-]{0,63}$/)).default([]),
  /** Debian packages of the root file system, besides the minimal base. Runtimes with the same set share one image. */
  packages: z.array(z.string().regex(/^[a-z0-9][a-z0-9+.-]+$/)),
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
  /** What `npm start` and `sandbar doctor` run to see the runtime work, and what it must print. */
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
