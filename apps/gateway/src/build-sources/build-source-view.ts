import type { BuildDeliveryView, BuildSourceView } from '#contracts';
import type { BuildDelivery, BuildSource } from '#persistence';

export const WEBHOOKS = 'v1/webhooks';

export function toBuildSourceView({ id, name, hook, spec, createdAt, lastDeliveryAt, lastBuildId }: BuildSource): BuildSourceView {
  return {
    ...spec,
    id,
    name,
    dockerfile: spec.dockerfile ?? 'Dockerfile',
    target: spec.target ?? null,
    platform: spec.platform ?? null,
    webhookPath: `/${WEBHOOKS}/${hook}`,
    createdAt: createdAt.toISOString(),
    lastDeliveryAt: lastDeliveryAt?.toISOString() ?? null,
    lastBuildId,
  };
}

export function toBuildDeliveryView({ id, event, ref, commit, state, reason, buildId, receivedAt }: BuildDelivery): BuildDeliveryView {
  return { id, event, ref, commit, state, reason, buildId, receivedAt: receivedAt.toISOString() };
}
