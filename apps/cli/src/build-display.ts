import type { BuildFrame } from '#contracts';

/** Shows a build to a person, as its frames come. */
export interface BuildDisplay {
  show(frame: BuildFrame): void;
  /** What stays on the screen is whole. Idempotent. */
  close(): void;
}

type StepStarted = Extract<BuildFrame, { type: 'step.started' }>;
type StepFinished = Extract<BuildFrame, { type: 'step.finished' }>;

/** `[base 2/5] RUN make` */
export function titleOf({ step, total, stageName, text }: StepStarted): string {
  return `[${stageName === null ? '' : `${stageName} `}${step}/${total}] ${text.replace(/\s*\n\s*/g, ' ')}`;
}

/** `cached`, `0.3s`, `failed after 1.2s` */
export function endOf({ state, cached, durationMs }: StepFinished): string {
  const seconds = `${(durationMs / 1000).toFixed(1)}s`;
  if (state === 'succeeded') return cached ? 'cached' : seconds;
  return state === 'failed' ? `failed after ${seconds}` : 'cancelled';
}

/** `JSONArgsRecommended: … (line 3)` */
export function warningOf({ message, rule, line }: Extract<BuildFrame, { type: 'warning' }>): string {
  return `${rule === undefined ? '' : `${rule}: `}${message}${line === undefined ? '' : ` (line ${line})`}`;
}

/** Text in chunks → whole lines, for each step its own. */
export class StepLines {
  private readonly rests = new Map<number, string>();

  add(step: number, data: string): string[] {
    const lines = ((this.rests.get(step) ?? '') + data).split('\n');
    this.rests.set(step, lines.pop() ?? '');
    return lines.map(lastTurn);
  }

  /** What has no end of line yet. */
  rest(step: number): string {
    return lastTurn(this.rests.get(step) ?? '');
  }

  finish(step: number): string[] {
    const rest = this.rest(step);
    this.rests.delete(step);
    return rest === '' ? [] : [rest];
  }
}

/** A progress bar that goes back to the start of its line shows its last state. */
function lastTurn(line: string): string {
  return line.replace(/\r+$/, '').split('\r').at(-1) ?? '';
}

/** Lines for logs and pipes: a step's number stands before each, for stages come in between each other. */
export class PlainDisplay implements BuildDisplay {
  private readonly lines = new StepLines();

  constructor(private readonly write: (text: string) => void) {}

  show(frame: BuildFrame): void {
    switch (frame.type) {
      case 'step.started':
        this.write(`#${frame.step} ${titleOf(frame)}\n`);
        return;
      case 'output':
        for (const line of this.lines.add(frame.step, frame.data)) this.write(`#${frame.step} | ${line}\n`);
        return;
      case 'pull':
        this.write(`#${frame.step} ${frame.id === null ? '' : `${frame.id}: `}${frame.status}\n`);
        return;
      case 'step.finished':
        for (const line of this.lines.finish(frame.step)) this.write(`#${frame.step} | ${line}\n`);
        this.write(`#${frame.step} ${endOf(frame)}\n`);
        return;
      case 'warning':
        this.write(`warning: ${warningOf(frame)}\n`);
        return;
      case 'clipped':
        this.write(`warning: output beyond ${frame.maxBytes} bytes is left out\n`);
        return;
      case 'end':
    }
  }

  close(): void {
    // Every line was written when it was whole.
  }
}
