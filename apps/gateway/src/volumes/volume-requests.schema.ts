import { z } from 'zod';

const label = z.string().max(1000).describe('`key` or `key=value`');
const flag = z.enum(['true', 'false']).default('false').transform((text) => text === 'true');

export const listVolumesQuerySchema = z.strictObject({ size: flag.describe('Also say how much each holds; takes the node a look at every file.') });
export type ListVolumesQuery = z.infer<typeof listVolumesQuerySchema>;

export const removeVolumeQuerySchema = z.strictObject({ force: flag.describe('One that is not there is fine.') });
export type RemoveVolumeQuery = z.infer<typeof removeVolumeQuerySchema>;

export const pruneVolumesSchema = z.strictObject({
  all: z.boolean().default(false).describe('Also named ones; otherwise only anonymous ones.'),
  labels: z.array(label).max(100).optional(),
  labelsNot: z.array(label).max(100).optional(),
});
export type PruneVolumes = z.infer<typeof pruneVolumesSchema>;

export const prunedVolumesSchema = z.object({ removed: z.array(z.string()), reclaimedBytes: z.int() });
