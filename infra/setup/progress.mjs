const FRAMES = ['⠋', '⠙', '⠹', '⠸', '⠼', '⠴', '⠦', '⠧', '⠇', '⠏'];
const PLAIN_INTERVAL_MS = 10_000;

/** Shows what set-up is doing: live lines on a terminal, plain lines elsewhere. Several tasks may be under way at once. */
export class Progress {
  #out;
  #live;
  #active = new Set();
  #drawn = 0;
  #timer;
  #frame = 0;
  #finished = [];

  constructor(out = process.stdout) {
    this.#out = out;
    this.#live = out.isTTY === true && process.env.TERM !== 'dumb';
  }

  /** `work` gets `report({ text?, done?, total? })`. What it returns (a string) is shown beside the title when it is over. */
  async task(title, work) {
    const task = { title, started: performance.now(), text: '', done: 0, total: 0, plainAt: performance.now() };
    this.#active.add(task);
    this.#schedule();
    try {
      const outcome = await work((update) => this.#report(task, update));
      this.#finish(task, '✔', typeof outcome === 'string' ? outcome : '');
      return outcome;
    } catch (error) {
      this.#finish(task, '✘', '');
      throw error;
    }
  }

  line(text) {
    this.#erase();
    this.#out.write(`${text}\n`);
    this.#draw();
  }

  /** The phases that took time, for the end of a start. */
  timings() {
    return this.#finished.filter((task) => task.seconds >= 0.05);
  }

  #report(task, update) {
    Object.assign(task, update);
    if (this.#live || performance.now() - task.plainAt < PLAIN_INTERVAL_MS) return;
    task.plainAt = performance.now();
    this.#out.write(`… ${describe(task)}\n`);
  }

  #finish(task, sign, outcome) {
    this.#active.delete(task);
    const seconds = (performance.now() - task.started) / 1000;
    this.#finished.push({ title: task.title, seconds });
    this.line(`${sign} ${task.title}${outcome ? `: ${outcome}` : ''} (${seconds.toFixed(1)} s)`);
    if (this.#active.size === 0) {
      clearInterval(this.#timer);
      this.#timer = undefined;
    }
  }

  #schedule() {
    if (!this.#live || this.#timer) return;
    this.#timer = setInterval(() => {
      this.#frame += 1;
      this.#erase();
      this.#draw();
    }, 100);
    this.#timer.unref();
  }

  #erase() {
    if (this.#drawn > 0) this.#out.write(`\x1b[${this.#drawn}A\x1b[0J`);
    this.#drawn = 0;
  }

  #draw() {
    if (!this.#live) return;
    const width = Math.max(20, (this.#out.columns || 80) - 2);
    for (const task of this.#active) {
      const seconds = ((performance.now() - task.started) / 1000).toFixed(0);
      this.#out.write(`${`${FRAMES[this.#frame % FRAMES.length]} ${describe(task)} ${seconds} s`.slice(0, width)}\n`);
      this.#drawn += 1;
    }
  }
}

function describe(task) {
  const text = task.text ? ` ${task.text}` : '';
  if (!task.total) return `${task.title}${text}`;
  const share = Math.min(1, task.done / task.total);
  const filled = Math.round(share * 20);
  return `${task.title} [${'█'.repeat(filled)}${'·'.repeat(20 - filled)}] ${String(Math.round(share * 100)).padStart(3)} %${text}`;
}
