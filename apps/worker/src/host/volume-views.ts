import type { VolumeView } from '#contracts';
import type { Volume } from '#engine';

/** Where Docker's clients expect a volume, on the tenant's virtual host. */
const VOLUMES = '/var/lib/docker/volumes';

export function volumeView(volume: Volume, holders: readonly string[], sizeBytes: number | null): VolumeView {
  const { name, driver, createdAt, labels, options, anonymous } = volume;
  return { name, driver, createdAt, labels: { ...labels }, options: { ...options }, anonymous, mountpoint: `${VOLUMES}/${name}/_data`, usedBy: [...holders], sizeBytes };
}
