import { containerCapabilities } from './capabilities.js';
import { findContainer, parseContainerName, randomContainerName } from './container-names.js';
import { parseSignal } from './signals.js';
import { visibleChanges } from './visible-changes.js';

describe('names of containers', () => {
  it('follow the grammar', () => {
    expect(parseContainerName('/web-1.a_b')).toBe('web-1.a_b');
    for (const bad of ['', 'a', '-a', 'a/b', '//ab', 'ä1', 'x'.repeat(256)]) expect(() => parseContainerName(bad)).toThrow('only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed');
  });

  it('are found by chance, also when most are taken', () => {
    const seen = new Set<string>();
    for (let count = 0; count < 5000; count += 1) {
      const name = randomContainerName((each) => seen.has(each));
      expect(parseContainerName(name)).toBe(name);
      seen.add(name);
    }
    expect(seen.size).toBe(5000);
  });

  it('win over prefixes of IDs', () => {
    const one = { id: 'abc1'.padEnd(64, '0'), name: 'web' };
    const two = { id: 'abd2'.padEnd(64, '0'), name: 'abc1' };
    expect(findContainer([one, two], 'abc1')).toBe(two);
    expect(findContainer([one, two], one.id)).toBe(one);
    expect(findContainer([one, two], '/web')).toBe(one);
    expect(findContainer([one, two], 'abd')).toBe(two);
    expect(() => findContainer([one, two], 'ab')).toThrow(expect.objectContaining({ code: 'invalid_argument', message: 'multiple IDs found with provided prefix: ab' }));
    for (const none of ['x', '']) expect(() => findContainer([one, two], none)).toThrow(expect.objectContaining({ code: 'not_found', message: `No such container: ${none}` }));
  });
});

describe('signals', () => {
  it.each([['9', 9], ['KILL', 9], ['sigterm', 15], ['SIGRTMIN+3', 37], ['RTMAX-1', 63], ['RTMIN', 34]])('%s is %i', (text, number) => {
    expect(parseSignal(text)).toBe(number);
  });
  it.each(['', '0', '65', 'FOO', 'RTMIN+40', 'RTMAX-40', '-9'])('%j is none', (text) => {
    expect(() => parseSignal(text)).toThrow(`invalid signal: ${text}`);
  });
});

describe('capabilities', () => {
  const of = (add: string[], drop: string[], privileged = false): string[] => containerCapabilities({ add, drop, privileged });
  it('are Docker\'s fourteen, and what is added or dropped', () => {
    expect(of([], [])).toHaveLength(14);
    expect(of(['sys_admin'], ['CAP_MKNOD'])).toEqual(expect.arrayContaining(['CAP_SYS_ADMIN', 'CAP_CHOWN']));
    expect(of([], ['CAP_MKNOD'])).not.toContain('CAP_MKNOD');
    expect(of(['CHOWN'], ['ALL'])).toEqual(['CAP_CHOWN']);
    expect(of(['ALL'], ['SYS_ADMIN'])).toHaveLength(of([], [], true).length - 1);
    expect(() => of(['EVERYTHING'], [])).toThrow('unknown capability: "CAP_EVERYTHING"');
  });
});

describe('changes that are shown', () => {
  it('are not those of the start', () => {
    const changes = ['/', '/dev', '/dev/pts', '/proc', '/sys', '/etc', '/device'].map((path) => ({ path, kind: 'added' }) as const);
    expect(visibleChanges(changes).map(({ path }) => path)).toEqual(['/etc', '/device']);
    expect(visibleChanges([{ path: '/sys', kind: 'deleted' }])).toHaveLength(1);
  });
});
