import { stepVerdict, type StepFacts } from './step-verdict.js';

const nothing: StepFacts = { cancelled: false, shutDown: false, outputExceeded: false, oomKilled: false, timedOut: false, exit: undefined };

describe('stepVerdict', () => {
  const order = [
    ['cancelled', { cancelled: true }],
    ['lost', { shutDown: true }],
    ['output_exceeded', { outputExceeded: true }],
    ['memory_exceeded', { oomKilled: true }],
    ['timed_out', { timedOut: true }],
    ['internal_error', { exit: undefined }],
  ] as const;

  it.each(order.map(([state], index) => [state, index] as const))('%s outweighs all that follows', (state, index) => {
    const facts = Object.assign({ ...nothing }, ...order.slice(index).map(([, fact]) => fact)) as StepFacts;
    expect(stepVerdict(facts)).toBe(state);
  });

  it.each([
    [{ exitCode: 0, signal: null }, 'succeeded'],
    [{ exitCode: 1, signal: null }, 'failed'],
    [{ exitCode: null, signal: 11 }, 'failed'],
  ] as const)('an end of %j is %s', (exit, state) => {
    expect(stepVerdict({ ...nothing, exit })).toBe(state);
  });

  it('a program that outlives the kill of its child has still exceeded its memory', () => {
    expect(stepVerdict({ ...nothing, oomKilled: true, exit: { exitCode: 0, signal: null } })).toBe('memory_exceeded');
  });
});
