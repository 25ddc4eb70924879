import { StreamGarbage } from './stream-garbage.js';

const MIB = 1024 * 1024;

describe('StreamGarbage', () => {
  const world = globalThis as { gc?: unknown };
  const before = world.gc;
  afterEach(() => {
    world.gc = before;
  });

  it('asks for a small collection for every two MiB that pass, in pieces of whatever size', () => {
    const asked: unknown[] = [];
    world.gc = (options: unknown) => asked.push(options);
    const garbage = new StreamGarbage();
    for (let passed = 0; passed < 10 * MIB; passed += MIB / 32) garbage.passed(MIB / 32);
    expect(asked).toEqual(Array.from({ length: 5 }, () => ({ type: 'minor' })));
    garbage.passed(20 * MIB);
    garbage.passed(1);
    expect(asked).toHaveLength(6);
  });

  it('does nothing where collections cannot be asked for', () => {
    world.gc = undefined;
    expect(() => {
      new StreamGarbage().passed(10 * MIB);
    }).not.toThrow();
  });
});
