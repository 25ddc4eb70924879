import type { ContainerMount } from '../containers.js';
import { mountPointOf, parseVolumesFrom, planMounts, type PlannedMount } from './mount-plan.js';

const volume = (destination: string, name?: string): ContainerMount => ({ kind: 'volume', destination, readOnly: false, noCopy: false, ...(name === undefined ? {} : { name }) });
const bind = (hostPath: string, destination: string): ContainerMount => ({ kind: 'bind', hostPath, destination, create: true, readOnly: false });
const NONE = { mounts: [], volumesFrom: [], imageVolumes: [] };

function plan(request: Partial<Parameters<typeof planMounts>[0]>): string[] {
  return planMounts({ ...NONE, ...request }).map((wish) => {
    if (wish.kind === 'volume') return `${wish.asked.destination} ${wish.asked.name ?? '?'}`;
    const { mount } = wish;
    return `${mount.destination} ${mountPointOf(mount).source}${mount.readOnly ? ' ro' : ''}`;
  });
}

describe('the mounts of a container', () => {
  const origin: PlannedMount[] = [
    { kind: 'volume', name: 'data', anonymous: false, destination: '/data', readOnly: false },
    { kind: 'bind', hostPath: '/src', create: true, destination: '/src', readOnly: true },
    { kind: 'tmpfs', destination: '/run', sizeBytes: 1, mode: 0o755, readOnly: false },
  ];

  it('give way in Docker\'s order: image volumes, volumes-from, then what was asked for', () => {
    expect(plan({ mounts: [bind('/a', '/data')], volumesFrom: [{ readOnly: false, mounts: origin }], imageVolumes: ['/src', '/cache/'] })).toEqual(['/cache ?', '/data /a', '/src /src ro']);
  });

  it('of another container come without its tmpfs, and read-only narrows only', () => {
    expect(plan({ volumesFrom: [{ readOnly: true, mounts: origin }] })).toEqual(['/data /var/lib/docker/volumes/data/_data ro', '/src /src ro']);
    expect(plan({ volumesFrom: [{ readOnly: false, mounts: origin }] })).toEqual(['/data /var/lib/docker/volumes/data/_data', '/src /src ro']);
  });

  it('stand in the order in which they can be mounted', () => {
    expect(plan({ mounts: [volume('/a/b/c', 'c'), volume('/z', 'z'), volume('/a/b', 'b')] })).toEqual(['/z z', '/a/b b', '/a/b/c c']);
  });

  it('take an unnamed volume only where nothing else is', () => {
    expect(plan({ mounts: [volume('/a'), volume('/a', 'named')] })).toEqual(['/a named']);
    expect(plan({ mounts: [bind('/x', '/a'), volume('/a/')] })).toEqual(['/a /x']);
  });

  it.each([
    [[bind('/x', '/a'), bind('/y', '/a/.')], 'Duplicate mount point: /a'],
    [[volume('a')], 'must be absolute'],
    [[volume('/b/..')], "destination can't be '/'"],
    [[volume('/proc/1')], "the sandbox's own"],
    [[volume('/x/../sys')], "the sandbox's own"],
    [[volume('/a\0b')], 'NUL'],
  ])('are refused: %j', (mounts, message) => {
    expect(() => plan({ mounts })).toThrow(expect.objectContaining({ code: 'invalid_argument', message: expect.stringContaining(message) }));
  });

  it('reads volumes-from', () => {
    expect(parseVolumesFrom('db')).toEqual({ container: 'db', readOnly: false });
    expect(parseVolumesFrom('db:ro')).toEqual({ container: 'db', readOnly: true });
    expect(() => parseVolumesFrom('db:rx')).toThrow('invalid mode: rx');
    expect(() => parseVolumesFrom(':ro')).toThrow('cannot be an empty string');
  });
});
