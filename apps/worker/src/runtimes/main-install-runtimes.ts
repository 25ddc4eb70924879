import { chmod, mkdir } from 'node:fs/promises';
import { loadEngineConfig, type EngineConfig } from '#config';
import { asError, canonicalName, isCodedError, parseReference, silentLogger, type Digest } from '#kernel';
import { BASE_IMAGES, BaseImageInstaller } from '../base-images/base-image-installer.js';
import { findAptNetworkOptions, proxyVariables } from '../base-images/debian-sources.js';
import { MinimalDebian } from '../base-images/minimal-debian.js';
import { openEngineStores, type EngineStores } from './engine-stores.js';
import { hasLeftovers, removeInstallFolder, withInstallHost } from './install-host.js';
import { withInstallLock } from './install-lock.js';
import type { InstalledRuntime } from './installed-runtimes.js';
import { mirrorAddresses } from './mirror-addresses.js';
import { withPlatformPlace } from './platform-place.js';
import { RuntimeBuilder } from './runtime-builder.js';
import { RuntimeCatalogue, shippedDefinitions } from './runtime-catalogue.js';
import { defaultsOf, findInstalled, RuntimeInstaller } from './runtime-installer.js';

/** One JSON object a line on stdout: progress per image, at last `ready` with all runtimes, or `failed`. */
function print(line: object): void {
  process.stdout.write(`${JSON.stringify(line)}\n`);
}

async function main(config: EngineConfig, signal: AbortSignal): Promise<void> {
  const { dataDir } = config;
  const catalogue = await RuntimeCatalogue.load(shippedDefinitions());
  await mkdir(dataDir, { recursive: true });
  await chmod(dataDir, 0o711);
  const stores = await openEngineStores({ dataDir, nativeDir: config.nativeDir, logger: silentLogger });
  const debian = await MinimalDebian.find({ dataDir, signal });
  const baseImages = new BaseImageInstaller({ images: stores.tenantImages, debian, onProgress: print });
  const present = async (): Promise<InstalledRuntime[] | undefined> => {
    if (hasLeftovers(dataDir) || !(await baseImages.installed())) return undefined;
    return findInstalled(dataDir, catalogue, await baseOf(stores, debian), stores.snapshots);
  };
  const make = async (): Promise<InstalledRuntime[]> => {
    // All that is to come, so that what is done is a share of it.
    for (const { definition } of defaultsOf(catalogue)) print({ image: definition.name, percent: 0, message: '' });
    await baseImages.install();
    return build(config, { stores, catalogue, debian }, signal);
  };
  const onWait = (): void => {
    print({ phase: 'waiting', message: 'another installation is at work' });
  };
  // The other one may have done it all meanwhile.
  const installed = (await present()) ?? (await withInstallLock(dataDir, signal, onWait, async () => (await present()) ?? (await make())));
  print({ phase: 'ready', runtimes: installed.map(({ name, version, image }) => ({ name, version, image })) });
}

async function baseOf({ tenantImages }: EngineStores, { suite }: MinimalDebian): Promise<Digest> {
  return (await tenantImages.resolve(BASE_IMAGES, canonicalName(parseReference(`debian:${suite}-slim`)))).id;
}

async function build(config: EngineConfig, { stores, catalogue, debian }: { stores: EngineStores; catalogue: RuntimeCatalogue; debian: MinimalDebian }, signal: AbortSignal): Promise<InstalledRuntime[]> {
  const { dataDir } = config;
  const proxies = proxyVariables(await findAptNetworkOptions());
  // This once, builds may go where the machine's own packages come from, be it a private address.
  const open = await mirrorAddresses([...debian.sources.imageLines, ...proxies.values()]);
  const runtimes = await withInstallHost(config, stores, open, silentLogger, (services) =>
    withPlatformPlace(services, () => {
      const builder = new RuntimeBuilder({ builder: services.builder, images: stores.tenantImages, content: stores.content, suite: debian.suite, proxies });
      return new RuntimeInstaller({ dataDir, catalogue, snapshots: stores.snapshots, builder }).installDefaults(print, signal);
    }),
  );
  await removeInstallFolder(dataDir);
  return runtimes;
}

const stop = new AbortController();
for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  process.once(name, () => {
    stop.abort();
  });
}

try {
  // eslint-disable-next-line no-restricted-syntax -- the one place where this program's environment is handed to libs/config
  await main(loadEngineConfig(process.env), stop.signal);
} catch (error) {
  const { message } = asError(error);
  print({ phase: 'failed', code: isCodedError(error) ? error.code : 'internal', message, ...(isCodedError(error) ? { details: error.details } : {}) });
  process.stderr.write(`install-runtimes: ${message}\n`);
  process.exitCode = 1;
}
