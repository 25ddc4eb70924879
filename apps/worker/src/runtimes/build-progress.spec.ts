import { BuildProgress } from './build-progress.js';

const say = (progress: BuildProgress, text: string): number => {
  progress.take({ kind: 'log', step: 4, stream: 'stdout', text });
  return progress.state.percent;
};

describe('the progress of a runtime’s build', () => {
  it('follows what apt prints, whatever the pieces', () => {
    const progress = new BuildProgress();
    const seen = [
      say(progress, 'Get:1 http://mirror.example/debian bookworm InRelease [151 kB]\n'),
      say(progress, '0 upgraded, 2 newly installed, 0 to remove and 0 not upgraded.\nGet:1 http://mirror.example/debian bookworm/main amd64 a'),
      say(progress, ' amd64 1 [9 kB]\nGet:2 http://mirror.example/debian bookworm/main amd64 b amd64 1 [9 kB]\n'),
      say(progress, 'Unpacking a (1) ...\nUnpacking b (1) ...\n'),
      say(progress, 'Setting up a (1) ...\n'),
    ];
    progress.take({ kind: 'removed', step: 4, containerId: 'c' });
    seen.push(progress.state.percent);
    expect(seen).toEqual([...seen].sort((a, b) => a - b));
    expect(seen).toEqual([0, 0, 40, 70, 80, 95]);
  });

  it('keeps the last lines, for when it fails', () => {
    const progress = new BuildProgress();
    for (let line = 0; line < 200; line += 1) say(progress, `line ${line}\n`);
    expect(progress.tail).toHaveLength(100);
    expect(progress.tail.at(-1)).toBe('line 199');
  });
});
