import { existsSync } from 'node:fs';
import { chmod, mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { loadEngineConfig, type EngineConfig } from '#config';
import { canonicalName, parseReference, silentLogger } from '#kernel';
import { BASE_IMAGES } from '../base-images/base-image-installer.js';
import { busyboxRootfs } from '../base-images/busybox-rootfs.js';
import { openEngineStores, type EngineStores } from './engine-stores.js';
import { hasLeftovers, removeInstallFolder, withInstallHost } from './install-host.js';
import { readInstalledRuntimes } from './installed-runtimes.js';
import { NodeRuntimes } from './node-runtimes.js';
import { withPlatformPlace } from './platform-place.js';
import { PLATFORM_TENANT } from './platform-tenant.js';
import { RuntimeBuilder } from './runtime-builder.js';
import { RuntimeCatalogue } from './runtime-catalogue.js';
import { collectRuntimeImages } from './runtime-collection.js';
import { findInstalled, outdated, RuntimeInstaller } from './runtime-installer.js';
import { runtimeReference } from './runtime-names.js';

const NATIVE = resolve(import.meta.dirname, '../../../../dist/native');
const NEVER = new AbortController().signal;
/** Busybox in Debian's place: what is asked of a base is a shell. */
const DOCKERFILE = 'ARG DEBIAN\nFROM debian:${DEBIAN}-slim\nRUN echo runner:x:1000:1000::/work:/bin/sh >> /etc/passwd && mkdir /work && chown 1000:1000 /work\nUSER runner\nWORKDIR /work\n';

describe('installing runtimes of Dockerfiles', () => {
  let folder: string;
  let config: EngineConfig;
  let stores: EngineStores;
  let definitions: string;

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'install-'));
    await chmod(folder, 0o711);
    config = loadEngineConfig({ SANDBAR_DATA_DIR: folder, SANDBAR_NATIVE_DIR: NATIVE, SANDBAR_CGROUP_ROOT: `install-${process.pid}` });
    stores = await openEngineStores({ dataDir: folder, nativeDir: NATIVE, logger: silentLogger });
    await importBase('2026-01-01T00:00:00Z');
  });
  beforeEach(async () => {
    definitions = await mkdtemp(join(folder, 'definitions-'));
  });
  afterAll(() => rm(folder, { recursive: true, force: true }));

  const importBase = (created: string) => stores.tenantImages.importTar(BASE_IMAGES, { tar: busyboxRootfs(), name: parseReference('debian:test-slim'), changes: ['ENV PATH=/bin:/usr/bin'], created });

  async function define(name: string, more: object = {}, dockerfile = DOCKERFILE): Promise<void> {
    const definition = { name, title: name, default: true, mainFile: 'main.sh', run: ['sh', '{main}'], env: { SAYS: '"$x" \\' }, versionCommand: ['echo', `${name} 1.0`], example: { code: 'echo $((6 * 7)) "$SAYS"', stdout: '42 "$x" \\\n' }, ...more };
    await mkdir(join(definitions, name));
    await writeFile(join(definitions, name, 'runtime.json'), JSON.stringify(definition));
    await writeFile(join(definitions, name, 'Dockerfile'), dockerfile);
  }

  const builderOn = (builder: ConstructorParameters<typeof RuntimeBuilder>[0]['builder']) => new RuntimeBuilder({ builder, images: stores.tenantImages, content: stores.content, suite: 'test', proxies: new Map() });

  async function install(work: (installer: RuntimeInstaller, catalogue: RuntimeCatalogue) => Promise<unknown>): Promise<void> {
    const catalogue = await RuntimeCatalogue.load(definitions);
    await withInstallHost(config, stores, [], silentLogger, (services) =>
      withPlatformPlace(services, () => work(new RuntimeInstaller({ dataDir: folder, catalogue, snapshots: stores.snapshots, builder: builderOn(services.builder) }), catalogue)),
    );
    await removeInstallFolder(folder);
  }
  const installDefaults = () => install((installer) => installer.installDefaults(() => undefined, NEVER));

  it('builds what every installation has, tries it, and leaves nothing but its images', async () => {
    await define('one');
    await define('same');
    await define('more', { default: false }, `${DOCKERFILE}USER root\nRUN echo more > /more\nUSER runner\n`);
    await installDefaults();
    const installed = await readInstalledRuntimes(folder);
    expect(installed.map(({ name, version }) => [name, version])).toEqual([['one', 'one 1.0'], ['same', 'same 1.0']]);
    // The same files are the same image: its layer is there once.
    expect(installed[0]?.image).toBe(installed[1]?.image);
    expect(installed[0]?.layers).toHaveLength(2);
    expect((await stores.tenantImages.list(PLATFORM_TENANT)).flatMap(({ tags }) => tags).sort()).toEqual(['docker.io/library/debian:test-slim', 'runtimes.sandbar/one:latest', 'runtimes.sandbar/same:latest']);
    expect(hasLeftovers(folder)).toBe(false);
    expect(await readdir(join(folder, 'engine', 'snapshots'))).toHaveLength(3);
    const node = await NodeRuntimes.open(folder, stores.snapshots, silentLogger, definitions);
    expect(node.resolve('one')?.chainId).toBe(installed[0]?.chainId);
    expect(node.available()).toEqual([{ name: 'more', title: 'more' }]);

    await install(async (installer, catalogue) => {
      const more = catalogue.find('more');
      if (more !== undefined) await installer.install(more, () => undefined, NEVER);
    });
    await node.reload();
    expect(node.names).toEqual(['more', 'one', 'same']);
  }, 120_000);

  it('builds anew what has changed, and that alone', async () => {
    await define('one');
    await define('other', {}, `${DOCKERFILE}ENV A=1\n`);
    await define('extra', { default: false }, `${DOCKERFILE}ENV B=1\n`);
    await installDefaults();
    await install(async (installer, catalogue) => {
      const extra = catalogue.find('extra');
      if (extra !== undefined) await installer.install(extra, () => undefined, NEVER);
    });
    const before = new Map((await readInstalledRuntimes(folder)).map((runtime) => [runtime.name, runtime]));
    const base = before.get('one')!.base;
    const catalogue = await RuntimeCatalogue.load(definitions);
    expect(await findInstalled(folder, catalogue, base, stores.snapshots)).toHaveLength(3);

    await rm(join(definitions, 'other'), { recursive: true });
    await define('other', {}, `${DOCKERFILE}ENV A=2\n`);
    const changed = await RuntimeCatalogue.load(definitions);
    expect(await findInstalled(folder, changed, base, stores.snapshots)).toBeUndefined();
    await installDefaults();
    const after = new Map((await readInstalledRuntimes(folder)).map((runtime) => [runtime.name, runtime]));
    expect(after.get('one')).toEqual(before.get('one'));
    expect(after.get('other')?.image).not.toBe(before.get('other')?.image);
    await collectRuntimeImages(stores.tenantImages, [...after.keys()]);
    await expect(stores.tenantImages.resolve(PLATFORM_TENANT, before.get('other')!.image)).rejects.toMatchObject({ code: 'not_found' });

    const { id } = await importBase('2026-02-02T00:00:00Z');
    expect(await findInstalled(folder, changed, id, stores.snapshots)).toBeUndefined();
    await installDefaults();
    // One that is not everywhere holds up no start: it is told of.
    expect((await outdated(folder, changed, id, stores.snapshots)).map(({ definition }) => definition.name)).toEqual(['extra']);
    expect((await findInstalled(folder, changed, id, stores.snapshots))?.find(({ name }) => name === 'one')?.base).toBe(id);
  }, 120_000);

  it.each<[string, object, string, object]>([
    ['prints something else', { example: { code: 'echo 41', stdout: '42\n' } }, DOCKERFILE, { code: 'failed_precondition', message: 'the example of bad printed "41\\n", not "42\\n"' }],
    ['fails', { example: { code: 'echo why >&2; exit 3', stdout: '' } }, DOCKERFILE, { code: 'failed_precondition', message: expect.stringMatching(/^the example of bad fails: .*non-zero code: 3 why$/) }],
    ['has a Dockerfile that fails', {}, `${DOCKERFILE}RUN echo "E: Unable to locate package nothing" && false\n`, { code: 'failed_precondition', message: 'a package does not exist in this Debian suite: E: Unable to locate package nothing' }],
    ['finds no mirror', {}, `${DOCKERFILE}RUN echo "Err:1 http://mirror.example/debian bookworm InRelease" && echo "  Temporary failure resolving 'mirror.example'" && false\n`, { code: 'unavailable', message: 'the package mirror cannot be reached: Err:1 http://mirror.example/debian bookworm InRelease' }],
  ])('does not offer one that %s', async (_what, more, dockerfile, failure) => {
    await define('bad', more, dockerfile);
    await expect(installDefaults()).rejects.toMatchObject(failure);
    expect((await readInstalledRuntimes(folder)).map(({ name }) => name)).not.toContain('bad');
    await expect(stores.tenantImages.resolve(PLATFORM_TENANT, canonicalName(runtimeReference('bad', 'latest')))).rejects.toMatchObject({ code: 'not_found' });
    // What the steps before have come to is kept for the next try.
    expect(existsSync(join(folder, 'installer', 'engine', 'builds', 'cache'))).toBe(true);
  }, 60_000);
});
