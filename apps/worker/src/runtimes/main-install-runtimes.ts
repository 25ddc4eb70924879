import { chmod, mkdir } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { CodedError, asError, isCodedError, silentLogger } from '#kernel';
import { BaseImageInstaller } from '../base-images/base-image-installer.js';
import { openEngineStores } from './engine-stores.js';
import { withInstallLock } from './install-lock.js';
import type { InstalledRuntime } from './installed-runtimes.js';
import { RuntimeCatalogue } from './runtime-catalogue.js';
import { RuntimeInstaller } from './runtime-installer.js';

/** Where the definitions lie beside the built program, `dist/apps/worker/src/runtimes/`. */
const SHIPPED = join(import.meta.dirname, '..', '..', '..', '..', '..', 'infra', 'runtimes');
const NATIVE = join(import.meta.dirname, '..', '..', '..', '..', 'native');

/** One JSON object a line on stdout: progress per image, at last `ready` with all runtimes, or `failed`. */
function print(line: object): void {
  process.stdout.write(`${JSON.stringify(line)}\n`);
}

async function main(signal: AbortSignal): Promise<void> {
  const { values } = parseArgs({ options: { 'data-dir': { type: 'string' }, 'runtimes-dir': { type: 'string', default: SHIPPED }, 'native-dir': { type: 'string', default: NATIVE } } });
  if (values['data-dir'] === undefined) throw new CodedError('invalid_argument', '--data-dir is missing');
  const dataDir = resolve(values['data-dir']);
  const catalogue = await RuntimeCatalogue.load(resolve(values['runtimes-dir']));
  await mkdir(dataDir, { recursive: true });
  await chmod(dataDir, 0o711);
  const stores = await openEngineStores({ dataDir, nativeDir: resolve(values['native-dir']), logger: silentLogger });
  const installer = new RuntimeInstaller({ dataDir, catalogue, stores, signal, onProgress: print });
  const baseImages = new BaseImageInstaller({ images: stores.tenantImages, debian: await installer.debian(), onProgress: print });
  const findInstalled = async (): Promise<InstalledRuntime[] | undefined> => ((await baseImages.installed()) ? installer.installed() : undefined);
  const installAll = async (): Promise<InstalledRuntime[]> => {
    const runtimes = (await installer.installed()) ?? (await installer.install());
    await baseImages.install();
    return runtimes;
  };
  const installed =
    (await findInstalled()) ??
    (await withInstallLock(
      dataDir,
      signal,
      () => {
        print({ phase: 'waiting', message: 'another installation is at work' });
      },
      // The other one may have done it all meanwhile.
      async () => (await findInstalled()) ?? (await installAll()),
    ));
  print({ phase: 'ready', runtimes: installed.map(({ name, version, image }: InstalledRuntime) => ({ name, version, image })) });
}

const stop = new AbortController();
for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  process.once(name, () => {
    stop.abort();
  });
}

try {
  await main(stop.signal);
} catch (error) {
  const { message } = asError(error);
  print({ phase: 'failed', code: isCodedError(error) ? error.code : 'internal', message, ...(isCodedError(error) ? { details: error.details } : {}) });
  process.stderr.write(`install-runtimes: ${message}\n`);
  process.exitCode = 1;
}
