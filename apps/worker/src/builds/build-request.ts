import { buildRegistriesSchema, type BuildRegistriesBody, type buildRequestSchema, type BuildSecrets } from '#contracts';
import type { BuildRequest, RegistryAuth } from '#engine';
import { CodedError, parseReference, withDefaultTag, type ImageReference } from '#kernel';
import type { z } from 'zod';

const DOCKER_HUB = 'https://index.docker.io/v1/';

/** A request of node RPC, or of a spooled build, as the engine takes it. @throws CodedError `invalid_argument` */
export function engineRequest({ buildArgs, labels, tags, limits, ...rest }: z.output<typeof buildRequestSchema>, registries: BuildRegistriesBody, secrets: BuildSecrets = {}): BuildRequest {
  // Undefined where JSON has nothing is absent for the engine.
  return {
    ...(JSON.parse(JSON.stringify({ ...rest, limits })) as Pick<BuildRequest, 'noCache' | 'pull' | 'network' | 'limits'>),
    buildArgs: new Map(Object.entries(buildArgs)),
    labels: new Map(Object.entries(labels)),
    tags: tags.map(tagOf),
    secrets: new Map(Object.entries(secrets).map(([id, { content, encoding }]) => [id, Buffer.from(content, encoding)])),
    authOf: authOf(buildRegistriesSchema.parse(registries)),
  };
}

function tagOf(name: string): ImageReference {
  const reference = withDefaultTag(parseReference(name));
  if (reference.digest !== undefined) throw new CodedError('invalid_argument', 'refusing to create a tag with a digest reference');
  return reference;
}

/** Docker's clients know its own registry by an address of its first version. */
function authOf(registries: BuildRegistriesBody): BuildRequest['authOf'] {
  return (domain) => (registries[domain === 'docker.io' ? DOCKER_HUB : domain] ?? registries[domain] ?? registries[`https://${domain}`]) as RegistryAuth | undefined;
}
