import { CodedError, type Digest } from '#kernel';
import type { ImageConfig } from '../images.js';
import type { HistoryRow, ImageLayer } from '../tenant-images.js';

/** An image and its ancestors of this name space, with the names of each. */
export interface Ancestor {
  readonly id: Digest;
  readonly tags: readonly string[];
}

/**
 * The rows of `docker history`, topmost first. An ancestor's row is the next one down for each generation, as Docker's engine has it.
 * @throws CodedError `failed_precondition` (`too many non-empty layers in History section`)
 */
export function historyOf({ history, created }: ImageConfig, layers: readonly ImageLayer[], ancestors: readonly Ancestor[]): HistoryRow[] {
  const rows: Omit<HistoryRow, 'id' | 'tags'>[] = [];
  let used = 0;
  for (const entry of history ?? []) {
    const layer = entry.empty_layer === true ? undefined : layers[used];
    if (entry.empty_layer !== true) {
      if (layer === undefined) throw new CodedError('failed_precondition', 'too many non-empty layers in History section');
      used += 1;
    }
    rows.push({ createdAt: entry.created, createdBy: entry.created_by ?? '', comment: entry.comment ?? '', sizeBytes: layer?.sizeBytes ?? 0 });
  }
  for (const layer of layers.slice(used)) rows.push({ createdAt: created, createdBy: '', comment: '', sizeBytes: layer.sizeBytes });
  return rows.reverse().map((row, index) => ({ ...row, id: ancestors[index]?.id, tags: ancestors[index]?.tags ?? [] }));
}
