import type { ImageDetail, ImageHistory, ImageRemovals, ImageSummary } from '#contracts';
import type { HistoryRow, ImageRecord, ImageUsage, Removal } from '#engine';

export function imageSummary(image: ImageRecord, shared: ReadonlyMap<string, number> | undefined): ImageSummary {
  return {
    id: image.id,
    tags: [...image.tags],
    digests: [...image.digests],
    parent: image.parent ?? null,
    createdAt: image.config.created ?? null,
    sizeBytes: image.sizeBytes,
    sharedBytes: shared === undefined ? null : (shared.get(image.id) ?? 0),
    containers: image.containers.length,
    labels: { ...image.config.config.Labels },
  };
}

export function sharedBytes(usage: ImageUsage): ReadonlyMap<string, number> {
  return new Map(usage.images.map((image) => [image.id, image.sharedBytes]));
}

export function imageDetail(image: ImageRecord): ImageDetail {
  return { ...imageSummary(image, undefined), taggedAt: image.taggedAt ?? null, addedAt: image.addedAt, config: { ...image.rawConfig } };
}

export function imageHistory(rows: readonly HistoryRow[]): ImageHistory {
  return rows.map(({ id, createdAt, createdBy, comment, sizeBytes, tags }) => ({ id: id ?? null, createdAt: createdAt ?? null, createdBy, comment, sizeBytes, tags: [...tags] }));
}

export function imageRemovals(removals: readonly Removal[]): ImageRemovals {
  return removals.map((removal) => ({ ...removal }));
}

/** When the image says that it was made; when it came here, if it does not say. */
export function imageTime(image: ImageRecord): number {
  const created = Date.parse(image.config.created ?? '');
  return Number.isNaN(created) ? image.addedAt : created;
}
