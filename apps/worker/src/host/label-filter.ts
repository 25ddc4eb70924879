import { z } from 'zod';

export const labelFilterSchema = z.strictObject({
  labels: z.array(z.string()).default([]),
  labelsNot: z.array(z.string()).default([]),
  untilMs: z.number().optional(),
});
export type LabelFilter = z.infer<typeof labelFilterSchema>;

export const pruneAllSchema = labelFilterSchema.extend({ all: z.boolean().default(false) });

/** `key` or `key=value`, all of `labels` and none of `labelsNot`; made before `untilMs`. */
export function accepts({ labels, labelsNot, untilMs }: LabelFilter, thing: { readonly labels: Readonly<Record<string, string>>; readonly createdAt: number }): boolean {
  if (untilMs !== undefined && thing.createdAt >= untilMs) return false;
  const has = (wanted: string): boolean => {
    const at = wanted.indexOf('=');
    const key = at < 0 ? wanted : wanted.slice(0, at);
    if (!Object.hasOwn(thing.labels, key)) return false;
    return at < 0 || thing.labels[key] === wanted.slice(at + 1);
  };
  return labels.every(has) && !labelsNot.some(has);
}
