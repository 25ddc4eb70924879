import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { startDockerFixture, type DockerFixture } from './docker-fixture.contract.js';

/** Members that Docker has dropped since, by version 28. */
const GONE = new Set([
  '/info/KernelMemory', '/info/KernelMemoryTCP', '/info/BridgeNfIptables', '/info/BridgeNfIp6tables',
  '/info/RegistryConfig/AllowNondistributableArtifactsCIDRs', '/info/RegistryConfig/AllowNondistributableArtifactsHostnames',
  '/info/Runtimes/io.containerd.runc.v2', '/info/Runtimes/io.containerd.runtime.v1.linux', '/info/ContainerdCommit/Expected', '/info/RuncCommit/Expected', '/info/InitCommit/Expected',
  '/container/HostConfig/KernelMemory', '/container/HostConfig/KernelMemoryTCP',
]);

/** What an engine of Docker's answered, member by member: version 20.10.24, API 1.41. */
describe("the members of Docker's own answers", () => {
  const golden = JSON.parse(readFileSync(join(import.meta.dirname, 'golden', 'docker-20.10-shapes.json'), 'utf8')) as Record<string, unknown>;
  let fixture: DockerFixture;

  beforeAll(async () => {
    fixture = await startDockerFixture();
    await fixture.docker('volume', 'create', '--label', 'a=b', 'gv');
    await fixture.docker('create', '--name', 'gold', '-v', 'gv:/v', '-v', '/tmp:/t:ro', '--tmpfs', '/x', 'busybox', 'true');
  }, 60_000);
  afterAll(() => fixture.stop());

  it.each([
    ['version', 'GET', '/version'],
    ['info', 'GET', '/info'],
    ['images', 'GET', '/images/json'],
    ['image', 'GET', '/images/busybox/json'],
    ['history', 'GET', '/images/busybox/history'],
    ['containers', 'GET', '/containers/json?all=1&size=1'],
    ['container', 'GET', '/containers/gold/json?size=1'],
    ['volumes', 'GET', '/volumes'],
    ['volume', 'GET', '/volumes/gv'],
    ['networks', 'GET', '/networks'],
    ['df', 'GET', '/system/df'],
    ['imagePrune', 'POST', '/images/prune'],
    ['containerPrune', 'POST', '/containers/prune'],
    ['volumePrune', 'POST', '/volumes/prune'],
  ])('%s: none is missing, none is of another type', async (name, method, path) => {
    const { status, body } = await fixture.gateway.call(fixture.key, method, `/v1.41${path}`);
    expect(status).toBe(200);
    // The command line names its mounts in any order; the golden one is the volume, which has the most members.
    (body as { Mounts?: { Type: string }[] }).Mounts?.sort((one, other) => other.Type.localeCompare(one.Type));
    expect(differences(golden[name], body, `/${name}`).filter((one) => !GONE.has(one.split(':')[0] ?? ''))).toEqual([]);
  });

  it('see what differs', () => {
    expect(differences({ a: 'string', b: { c: 'number' }, d: ['string'], e: null }, { a: 1, b: {}, d: [2], e: 'x' }, '')).toEqual(['/a: string, not number', '/b/c: missing', '/d/0: string, not number']);
  });
});

/** null and an empty list are of every type: Go writes one or the other. */
function differences(expected: unknown, given: unknown, path: string): string[] {
  if (given === undefined) return [`${path}: missing`];
  if (expected === null || given === null) return [];
  if (Array.isArray(expected)) {
    if (!Array.isArray(given)) return [`${path}: list, not ${typeof given}`];
    return expected.length === 0 || given.length === 0 ? [] : differences(expected[0], given[0], `${path}/0`);
  }
  if (typeof expected === 'object') {
    if (typeof given !== 'object' || Array.isArray(given)) return [`${path}: object, not ${typeof given}`];
    // Maps whose names are the user's own have members that differ.
    const free = /\/(Labels|Options|Containers|Networks|Volumes|IndexConfigs)$/.test(path) && !Object.keys(expected).some((key) => key in given);
    return free ? [] : Object.entries(expected).flatMap(([key, value]) => differences(value, (given as Record<string, unknown>)[key], `${path}/${key}`));
  }
  return typeof given === expected ? [] : [`${path}: ${JSON.stringify(expected).replaceAll('"', '')}, not ${typeof given}`];
}
