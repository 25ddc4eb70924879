import { z } from 'zod';

const label = z.string().min(1).max(512);

export const pruneNetworksSchema = z.strictObject({
  labels: z.array(label).max(100).optional(),
  labelsNot: z.array(label).max(100).optional(),
});
export type PruneNetworks = z.infer<typeof pruneNetworksSchema>;

export const prunedNetworksSchema = z.object({ removed: z.array(z.string()) });
