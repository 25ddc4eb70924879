import { parseMountInfo } from '../linux/index.js';
import { layoutOf } from './hierarchies.js';

const line = (point: string, type: string, options: string): string => `30 20 0:26 / ${point} rw,relatime shared:9 - ${type} ${type} rw,${options}\n`;
const V1 =
  line('/sys/fs/cgroup/cpu,cpuacct', 'cgroup', 'cpu,cpuacct') + line('/sys/fs/cgroup/memory', 'cgroup', 'memory') + line('/sys/fs/cgroup/pids', 'cgroup', 'pids') + line('/sys/fs/cgroup/systemd', 'cgroup', 'xattr,name=systemd');

describe('layoutOf', () => {
  it('finds the hierarchies of version 1, mounted together or apart', () => {
    expect(layoutOf(parseMountInfo(V1))).toEqual({
      mode: 'v1',
      hierarchies: { memory: '/sys/fs/cgroup/memory', pids: '/sys/fs/cgroup/pids', cpu: '/sys/fs/cgroup/cpu,cpuacct', cpuacct: '/sys/fs/cgroup/cpu,cpuacct' },
      onDemand: {},
      others: ['/sys/fs/cgroup/systemd'],
    });
  });

  it('finds those that are used on demand, which an OCI runtime may use too', () => {
    const text = V1 + line('/sys/fs/cgroup/cpuset', 'cgroup', 'cpuset') + line('/sys/fs/cgroup/blkio', 'cgroup', 'blkio');
    expect(layoutOf(parseMountInfo(text))).toMatchObject({
      onDemand: { cpuset: '/sys/fs/cgroup/cpuset', blkio: '/sys/fs/cgroup/blkio' },
      others: expect.arrayContaining(['/sys/fs/cgroup/cpuset', '/sys/fs/cgroup/blkio']) as string[],
    });
  });

  it('calls version 1 beside a cgroup2 mount hybrid', () => {
    expect(layoutOf(parseMountInfo(V1 + line('/sys/fs/cgroup/unified', 'cgroup2', 'nsdelegate'))).mode).toBe('hybrid');
  });

  it('takes a cgroup2 mount beside systemd’s own hierarchy for version 2', () => {
    const text = line('/sys/fs/cgroup', 'cgroup2', 'nsdelegate') + line('/run/other', 'cgroup', 'xattr,name=systemd');
    expect(layoutOf(parseMountInfo(text))).toEqual({ mode: 'v2', mountPoint: '/sys/fs/cgroup' });
  });

  it('names the controllers that are missing', () => {
    const text = V1.split('\n').filter((entry) => !entry.includes('pids')).join('\n');
    expect(() => layoutOf(parseMountInfo(text))).toThrow(expect.objectContaining({ code: 'unsupported', details: { mode: 'v1', missing: ['pids'] } }));
  });

  it('refuses a machine without cgroups', () => {
    expect(() => layoutOf(parseMountInfo(line('/proc', 'proc', 'x')))).toThrow(expect.objectContaining({ code: 'unsupported' }));
  });

  it('reads mount points with blanks', () => {
    expect(parseMountInfo(line('/a\\040b', 'cgroup2', 'x'))[0]?.mountPoint).toBe('/a b');
  });
});
