import type { BuildFrame } from '#contracts';
import { PlainDisplay } from './build-display.js';
import { ScreenDisplay } from './build-screen.js';

const of = { time: 0, attempt: 1 };
const FRAMES: BuildFrame[] = [
  { type: 'step.started', seq: 1, ...of, step: 1, total: 2, stage: 0, stageName: 'base', text: 'FROM busybox' },
  { type: 'step.finished', seq: 2, ...of, step: 1, state: 'succeeded', cached: true, durationMs: 3 },
  { type: 'step.started', seq: 3, ...of, step: 2, total: 2, stage: 0, stageName: null, text: 'RUN a \\\n  b' },
  { type: 'output', seq: 4, ...of, step: 2, stream: 'stdout', data: 'one\ntw' },
  { type: 'output', seq: 5, ...of, step: 2, stream: 'stderr', data: 'o\n10%\r20%\r\n\x1b[2J\x1b]0;title\x07red\x07 rest' },
  { type: 'step.finished', seq: 6, ...of, step: 2, state: 'failed', cached: false, durationMs: 1234 },
  { type: 'end', seq: 7, time: 0, state: 'failed', imageId: null, error: { code: 'invalid_argument', message: 'no' } },
];

describe('a build on the way', () => {
  it('is told line by line where nobody watches', () => {
    let text = '';
    const display = new PlainDisplay((piece) => (text += piece));
    for (const frame of FRAMES) display.show(frame);
    display.close();
    expect(text.split('\n').slice(0, 7)).toEqual(['#1 [base 1/2] FROM busybox', '#1 cached', '#2 [2/2] RUN a \\ b', '#2 | one', '#2 | two', '#2 | 20%', expect.stringContaining('rest') as string]);
    expect(text).toContain('#2 failed after 1.2s\n');
  });

  it('is drawn on a terminal: what is over stays, and no program moves the cursor', () => {
    const written: string[] = [];
    const display = new ScreenDisplay({ write: (text) => written.push(text), columns: 40 }, () => 0);
    for (const frame of FRAMES) display.show(frame);
    display.close();
    const screen = written.join('');
    expect(screen).toContain('[base 1/2] FROM busybox');
    expect(screen).toContain('failed after 1.2s');
    expect(screen).toContain('  one\n  two\n  20%\n  red rest\n');
    expect(screen).not.toContain('\x1b[2J');
    expect(screen).not.toContain('\x07');
    for (const line of screen.split('\n')) expect(line.replace(/\x1b\[[0-9]*[A-Za-z]/g, '').length).toBeLessThanOrEqual(40);
  });
});
