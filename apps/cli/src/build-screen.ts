import { stripVTControlCharacters } from 'node:util';
import type { BuildFrame } from '#contracts';
import { endOf, StepLines, titleOf, warningOf, type BuildDisplay } from './build-display.js';

const REDRAW_MS = 100;
/** Of the output of a step that goes on. */
const TAIL_LINES = 4;
const BOLD = '\x1b[1m';
const DIM = '\x1b[2m';
const RED = '\x1b[31m';
const RESET = '\x1b[0m';

interface OpenStep {
  readonly title: string;
  readonly beganAt: number;
  readonly tail: string[];
  cached: boolean;
}

/** Where it is drawn. */
export interface Screen {
  write(text: string): void;
  readonly columns: number;
}

/**
 * A build on a terminal: steps that are over stand still, one line each; below them those that go on, with their time and the last lines of their output, drawn anew ten times a
 * second. Of a step that fails all of the output that is known stays.
 */
export class ScreenDisplay implements BuildDisplay {
  private readonly open = new Map<number, OpenStep>();
  private readonly lines = new StepLines();
  private drawn = 0;
  private readonly timer: NodeJS.Timeout;

  constructor(
    private readonly screen: Screen,
    private readonly now: () => number = Date.now,
  ) {
    this.timer = setInterval(() => { this.draw([]); }, REDRAW_MS);
  }

  show(frame: BuildFrame): void {
    switch (frame.type) {
      case 'step.started':
        this.open.set(frame.step, { title: titleOf(frame), beganAt: this.now(), tail: [], cached: false });
        return;
      case 'output':
        this.output(frame.step, this.lines.add(frame.step, frame.data));
        return;
      case 'pull':
        this.output(frame.step, [`${frame.id === null ? '' : `${frame.id}: `}${frame.status}`]);
        return;
      case 'step.finished':
        this.finished(frame);
        return;
      case 'warning':
        this.draw([`${BOLD}warning:${RESET} ${clean(warningOf(frame))}`]);
        return;
      case 'clipped':
        this.draw([`${BOLD}warning:${RESET} output beyond ${frame.maxBytes} bytes is left out`]);
        return;
      case 'end':
        this.close();
    }
  }

  close(): void {
    clearInterval(this.timer);
    this.open.clear();
    this.draw([]);
  }

  private output(step: number, lines: readonly string[]): void {
    const open = this.open.get(step);
    if (open === undefined) return;
    open.tail.push(...lines.map(clean));
    // Of one that fails more is shown.
    if (open.tail.length > 200) open.tail.splice(0, open.tail.length - 200);
  }

  private finished(frame: Extract<BuildFrame, { type: 'step.finished' }>): void {
    this.output(frame.step, this.lines.finish(frame.step));
    const step = this.open.get(frame.step);
    this.open.delete(frame.step);
    if (step === undefined) return;
    const failed = frame.state === 'failed';
    const head = `${failed ? RED : ''}${this.fit(step.title, endOf(frame))}${failed ? RESET : ''}`;
    this.draw([head, ...(failed ? step.tail.map((line) => `  ${line}`) : [])]);
  }

  /** Lines that stay, then those that the next drawing takes back. */
  private draw(staying: readonly string[]): void {
    const live = [...this.open].flatMap(([number, step]) => this.liveLines(number, step));
    const back = this.drawn === 0 ? '' : `\x1b[${this.drawn}A\x1b[0J`;
    this.drawn = live.length;
    if (back === '' && staying.length === 0 && live.length === 0) return;
    this.screen.write(back + [...staying, ...live].map((line) => `${line}\n`).join(''));
  }

  private liveLines(number: number, { title, beganAt, tail }: OpenStep): string[] {
    const rest = clean(this.lines.rest(number));
    const last = [...tail, ...(rest === '' ? [] : [rest])].slice(-TAIL_LINES);
    const seconds = `${((this.now() - beganAt) / 1000).toFixed(1)}s`;
    return [`${BOLD}${this.fit(title, seconds)}${RESET}`, ...last.map((line) => `${DIM}  ${cut(line, this.screen.columns - 3)}${RESET}`)];
  }

  /** One line of the screen, its end at the right. */
  private fit(title: string, end: string): string {
    const room = Math.max(10, this.screen.columns - end.length - 2);
    return `${cut(clean(title), room).padEnd(room)} ${end}`;
  }
}

/** What a program prints must not move the cursor of whoever watches it. */
function clean(text: string): string {
  return stripVTControlCharacters(text).replaceAll('\t', '    ').replace(/\p{Cc}/gu, '');
}

function cut(text: string, width: number): string {
  return text.length <= width ? text : `${text.slice(0, Math.max(0, width - 1))}…`;
}
