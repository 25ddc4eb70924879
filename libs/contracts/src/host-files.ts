import { z } from 'zod';

const id = z.int().min(0).max(0xffff_fffe);
export const fileModeSchema = z.int().min(0).max(0o7777);
/** Absolute, resolved inside the container alone. */
export const filePathSchema = z
  .string()
  .min(1)
  .max(4095)
  .refine((path) => path.startsWith('/'), 'an absolute path')
  .refine((path) => !path.includes('\0'), 'no NUL byte');

/** The wire form of the engine's FileStat. */
export const fileStatSchema = z.object({
  name: z.string(),
  path: z.string(),
  kind: z.enum(['file', 'directory', 'symlink', 'fifo', 'socket', 'char', 'block']),
  sizeBytes: z.int().min(0),
  mode: z.int().min(0).max(0o7777).describe('Permission bits with set-id and sticky.'),
  uid: z.int(),
  gid: z.int(),
  modifiedAt: z.int().describe('Milliseconds.'),
  linkTarget: z.string().describe('Of a symlink, as it says.'),
  resolvedTarget: z.string().describe('Of a symlink that was asked for by its own name: where it leads in the end, absolute.'),
});
export type FileStatView = z.infer<typeof fileStatSchema>;

export const fileEventSchema = z.object({
  kind: z.enum(['ready', 'created', 'modified', 'deleted', 'moved', 'overflow']).describe('`ready` comes first; `overflow`: some were missed.'),
  path: z.string(),
  to: z.string().optional().describe('Of `moved`: where it is now.'),
  directory: z.boolean(),
});
export type FileEventView = z.infer<typeof fileEventSchema>;

export const fileAttributesSchema = z.object({ mode: fileModeSchema.optional(), uid: id.optional(), gid: id.optional() });
export type FileAttributes = z.infer<typeof fileAttributesSchema>;

export const makeDirectorySchema = z.strictObject({
  path: filePathSchema,
  parents: z.boolean().default(false).describe('Missing parents are made too, and a directory that is there is fine.'),
  mode: fileModeSchema.optional(),
  uid: id.optional(),
  gid: id.optional(),
});
export type MakeDirectoryBody = z.infer<typeof makeDirectorySchema>;

export const moveFileSchema = z.strictObject({ from: filePathSchema, to: filePathSchema, overwrite: z.boolean().default(false) });
export type MoveFileBody = z.infer<typeof moveFileSchema>;
