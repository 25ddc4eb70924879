import type { BuildEvent } from '#engine';

/** Kept of what the build says, lines; a line has at most so many characters. */
const TAIL_LINES = 100;
const LINE_LENGTH = 2000;

/** Of an installation of packages: what apt's lines begin with, the percent from which they count, and to which, package for package. */
const PHASES: readonly { readonly line: RegExp; readonly from: number; readonly to: number; readonly says: string }[] = [
  { line: /^Get:\d+ .* (?:InRelease|Packages)/, from: 0, to: 5, says: 'fetches package lists' },
  { line: /^Get:\d+ /, from: 5, to: 40, says: 'fetches packages' },
  { line: /^Unpacking /, from: 40, to: 70, says: 'unpacks packages' },
  { line: /^Setting up /, from: 70, to: 90, says: 'installs packages' },
];
const TOTAL = /^\d+ upgraded, (\d+) newly installed/;

/** How far a build has come, by its events and by what apt prints. */
export class BuildProgress {
  readonly tail: string[] = [];
  private rest = '';
  private packages = 0;
  private readonly counts = PHASES.map(() => 0);
  private percent = 0;
  private says = 'is built';

  take(event: BuildEvent): void {
    if (event.kind === 'log') {
      const lines = (this.rest + event.text).split(/[\r\n]+/);
      this.rest = (lines.pop() ?? '').slice(-LINE_LENGTH);
      for (const line of lines) this.line(line.slice(0, LINE_LENGTH));
    } else if (event.kind === 'removed' && this.percent > 0) {
      this.percent = 95;
      this.says = 'stores the layer';
    }
  }

  /** Of the whole build, which is one installation of packages and little else; and what is going on. */
  get state(): { readonly percent: number; readonly message: string } {
    return { percent: Math.floor(this.percent), message: this.says };
  }

  private line(line: string): void {
    this.tail.push(line);
    if (this.tail.length > TAIL_LINES) this.tail.shift();
    this.packages = Number(TOTAL.exec(line)?.[1] ?? this.packages);
    const at = PHASES.findIndex((phase) => phase.line.test(line));
    const phase = PHASES[at];
    if (phase === undefined) return;
    const count = (this.counts[at] = (this.counts[at] ?? 0) + 1);
    const percent = phase.from + (phase.to - phase.from) * (this.packages === 0 ? 0 : Math.min(1, count / this.packages));
    // dpkg goes back to unpacking what needs something that is installed by then.
    if (percent < this.percent) return;
    this.percent = percent;
    this.says = phase.says;
  }
}
