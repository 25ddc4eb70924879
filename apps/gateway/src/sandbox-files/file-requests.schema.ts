import { z } from 'zod';
import { filePathSchema, fileStatSchema } from '#contracts';

const path = filePathSchema.describe('Absolute, inside of the sandbox: links lead nowhere out.');
const flag = (otherwise: 'true' | 'false') => z.enum(['true', 'false']).default(otherwise).transform((text) => text === 'true');
const id = z.coerce.number().int().min(0).max(0xffff_fffe).optional();

export const fileQuerySchema = z.strictObject({ path, entries: flag('true').describe('Of a directory: also what is in it.') });
export type FileQuery = z.infer<typeof fileQuerySchema>;

export const fileViewSchema = fileStatSchema.extend({ entries: z.array(fileStatSchema).nullable().describe('Of a directory, by name; null when it is none or they were not asked for.') });
export type FileView = z.infer<typeof fileViewSchema>;

export const removeFileQuerySchema = z.strictObject({ path, recursive: flag('false').describe('A directory with all that is in it; one that is not there is fine.') });
export type RemoveFileQuery = z.infer<typeof removeFileQuerySchema>;

export const contentQuerySchema = z.strictObject({ path });
export type ContentQuery = z.infer<typeof contentQuerySchema>;

export const putContentQuerySchema = z.strictObject({
  path,
  mode: z
    .string()
    .regex(/^[0-7]{1,4}$/, 'octal digits')
    .transform((text) => Number.parseInt(text, 8))
    .optional()
    .describe('Octal digits, such as 644. What is not said stays as it is; of a new file it is 644, and root’s.'),
  uid: id,
  gid: id,
  overwrite: flag('true').describe('false: a file that is there is a conflict.'),
});
export type PutContentQuery = z.infer<typeof putContentQuerySchema>;

export const archiveQuerySchema = z.strictObject({ path, contents: flag('false').describe('Of a directory: what is in it, named from `./` on, and not itself.') });
export type ArchiveQuery = z.infer<typeof archiveQuerySchema>;

export const putArchiveQuerySchema = z.strictObject({ path, owners: z.enum(['root', 'archive']).default('root').describe('Whose the files will be: root’s, or as the archive says.') });
export type PutArchiveQuery = z.infer<typeof putArchiveQuerySchema>;

export const watchQuerySchema = z.strictObject({ path, recursive: flag('false'), ticket: z.string().max(200).optional() });
