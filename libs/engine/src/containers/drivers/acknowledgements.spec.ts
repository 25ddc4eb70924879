import fc from 'fast-check';
import type { GuestAgent } from '../../runtime/index.js';
import { Acknowledgements } from './acknowledgements.js';
import type { ProcessSink } from './process-sink.js';

/** Its events are written when the test says so. */
class SlowSink {
  readonly waiting: number[] = [];
  get oldestPending(): number | undefined {
    return this.waiting[0];
  }
}

function watched(): { readonly told: number[]; readonly acknowledgements: Acknowledgements } {
  const told: number[] = [];
  const agent = { acknowledge: (seq: number) => told.push(seq) } as Partial<GuestAgent> as GuestAgent;
  return { told, acknowledgements: new Acknowledgements(agent) };
}

describe('acknowledgements', () => {
  it('stay below the oldest event that a crash could take away, whosever it is', () => {
    const { told, acknowledgements } = watched();
    const [main, exec] = [new SlowSink(), new SlowSink()];
    const take = (seq: number, sink: SlowSink): void => {
      sink.waiting.push(seq);
      acknowledgements.took(seq, sink as Partial<ProcessSink> as ProcessSink);
    };
    take(1, main);
    take(2, exec);
    take(3, exec);
    acknowledgements.took(4, undefined);
    expect(told).toEqual([]);
    exec.waiting.length = 0;
    acknowledgements.tell();
    expect(told).toEqual([]);
    take(5, exec);
    main.waiting.length = 0;
    acknowledgements.tell();
    expect(told).toEqual([4]);
    exec.waiting.length = 0;
    acknowledgements.tell();
    expect(told).toEqual([4, 5]);
    acknowledgements.took(6, undefined);
    expect(told.at(-1)).toBe(6);
  });

  it('never tell an event that is not written, and in the end tell all', () => {
    const step = fc.oneof(fc.record({ to: fc.integer({ min: -1, max: 3 }) }), fc.record({ writes: fc.integer({ min: 0, max: 3 }), count: fc.integer({ min: 1, max: 5 }) }));
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const { told, acknowledgements } = watched();
        const sinks = Array.from({ length: 4 }, () => new SlowSink());
        let seq = 0;
        const safe = (): boolean => sinks.every(({ waiting }) => waiting.every((each) => each > (told.at(-1) ?? 0)));
        for (const each of steps) {
          if ('to' in each) {
            seq += 1;
            const sink = sinks[each.to];
            sink?.waiting.push(seq);
            acknowledgements.took(seq, sink as Partial<ProcessSink> | undefined as ProcessSink | undefined);
          } else {
            sinks[each.writes]!.waiting.splice(0, each.count);
            acknowledgements.tell();
          }
          expect(safe()).toBe(true);
        }
        for (const { waiting } of sinks) waiting.length = 0;
        acknowledgements.tell();
        expect(told.at(-1) ?? 0).toBe(seq);
      }),
    );
  });
});
