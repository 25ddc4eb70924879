import { mkdtemp, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { silentLogger, systemClock, CodedError, type TenantId } from '#kernel';
import { openContainerHost, type ContainerHost } from '../containers/testing/container-host.js';
import { OverlaySnapshotter } from '../snapshots/index.js';
import { writeTar } from '../tar/index.js';
import { HelperTrees } from '../tree/index.js';
import { DockerfileBuilder, type BuildRequest } from './index.js';
import { makeBaseImages } from './testing/base-images.contract.js';
import { buildCases, knownDifferences, makeContext, writeKnownDifferences, type BuildCase, type KnownDifference } from './testing/build-cases.js';
import { archiveOf, Buildah } from './testing/buildah.js';
import { asRecord, differences, imageFacts, type ImageFacts } from './testing/image-facts.js';
import { ALL_WORDS, wordsOfDockerfiles } from './testing/used-words.js';

const NEVER = new AbortController().signal;
const CASES = buildCases();
/** Write what comes out in the place of what should, to be looked at, explained and committed. */
const UPDATE = process.env['SANDBAR_UPDATE_GOLDEN'] === '1';
const SERVED: Readonly<Record<string, () => AsyncIterable<Uint8Array> | Iterable<Uint8Array>>> = {
  '/plain.txt': () => [Buffer.from('plain\n')],
  '/packed.tar': () => writeTar([{ path: 'in', type: 'file', mode: 0o644, uid: 0, gid: 0, mtimeNs: 0n, size: 7, content: [Buffer.from('packed\n')] }]),
};

/** Each case is built here and by Debian's buildah, on the same bases: both have the same files and the same config, but for what `differences.json` explains. */
describe('images of Dockerfiles that buildah builds too', () => {
  let host: ContainerHost;
  let tenant: TenantId;
  let builder: DockerfileBuilder;
  let snapshots: OverlaySnapshotter;
  let buildah: Buildah;
  let server: Server;
  let buildArgs: ReadonlyMap<string, string>;
  const found: KnownDifference[] = [];

  beforeAll(async () => {
    host = await openContainerHost('conformance');
    tenant = await host.newTenant(512 * 1024 * 1024);
    buildah = await Buildah.open(join(host.base, 'buildah'));
    await makeBaseImages(host, tenant, buildah);
    const trees = new HelperTrees({ program: join(host.base, 'sandbar-tree'), logger: silentLogger });
    snapshots = await OverlaySnapshotter.open(join(host.base, 'snapshots'), { trees });
    builder = new DockerfileBuilder({
      root: await mkdtemp(join(host.base, 'builds-')),
      images: host.images,
      transfers: { pull: () => Promise.reject(new CodedError('not_found', 'no registry here')) },
      snapshots,
      trees,
      containers: host.containers,
      processes: host.containers.processes,
      volumes: host.volumes,
      git: { fetch: () => Promise.reject(new CodedError('unavailable', 'no repository here')) },
      fetchUrl: async (url) => {
        const { body } = await fetch(url);
        if (body === null) throw new Error(`nothing at ${url}`);
        return { lastModifiedMs: undefined, bytes: body[Symbol.asyncIterator]() as AsyncIterableIterator<Uint8Array> };
      },
      clock: systemClock,
      logger: silentLogger,
    });
    await builder.recover();
    server = createServer(({ url = '' }, answer) => {
      void (async () => {
        for await (const chunk of SERVED[url]?.() ?? []) answer.write(chunk);
        answer.end();
      })();
    }).listen(0, '127.0.0.1');
    await new Promise((resolve) => server.once('listening', resolve));
    buildArgs = new Map([['ORIGIN', `http://127.0.0.1:${(server.address() as AddressInfo).port}`]]);
  }, 120_000);
  afterAll(async () => {
    if (UPDATE) writeKnownDifferences(found);
    server.close();
    await host.dispose();
  }, 60_000);

  it.each(CASES)('$name', async (each) => {
    const context = join(host.base, 'contexts', each.name);
    await makeContext(each.name, context);
    const file = join(host.base, 'contexts', `${each.name}.Dockerfile`);
    await writeFile(file, each.buildahDockerfile);
    const [ours, theirs] = await Promise.all([builtHere(each, context), builtThere(each, context, file)]);
    const seen = differences(ours, theirs);
    found.push(...seen.map((difference) => ({ case: each.name, ...difference, why: knownDifferences().find((known) => known.case === each.name && known.of === difference.of)?.why ?? '' })));
    if (!UPDATE) expect(seen).toEqual(knownDifferences().filter((known) => known.case === each.name).map(({ of, ours: mine, theirs: other }) => ({ of, ours: mine, theirs: other })));
  }, 60_000);

  const argumentsOf = ({ buildArgs: given }: BuildCase): ReadonlyMap<string, string> => new Map([...buildArgs, ...Object.entries(given)]);

  async function builtHere(each: BuildCase, context: string): Promise<ImageFacts> {
    const { target } = each;
    const request: BuildRequest = { buildArgs: argumentsOf(each), labels: new Map(Object.entries(each.labels)), tags: [], noCache: true, pull: false, network: 'none', limits: {}, authOf: () => undefined, ...(target === undefined ? {} : { target }) };
    const { imageId } = await builder.build(tenant, request, archiveOf(context), () => Promise.resolve(), NEVER);
    const { chainId, config } = await host.images.resolve(tenant, imageId);
    return imageFacts(snapshots.packTree(chainId, undefined), asRecord(config.config));
  }

  async function builtThere(each: BuildCase, context: string, dockerfile: string): Promise<ImageFacts> {
    const { target } = each;
    const imageId = await buildah.build({ context, dockerfile, buildArgs: argumentsOf(each), labels: new Map(Object.entries(each.labels)), ...(target === undefined ? {} : { target }) });
    return imageFacts(buildah.tree(imageId), await buildah.config(imageId));
  }

  it('are in every instruction and flag', () => {
    expect(wordsOfDockerfiles(CASES.map(({ dockerfile }) => dockerfile))).toEqual(ALL_WORDS);
  });

  it('differ in what is explained, and in nothing that is no case', () => {
    const names = new Set(CASES.map(({ name }) => name));
    expect(knownDifferences().filter((known) => known.why.length < 20 || !names.has(known.case))).toEqual([]);
    expect(CASES.length).toBeGreaterThanOrEqual(60);
  });
});
