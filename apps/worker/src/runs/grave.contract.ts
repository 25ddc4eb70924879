import type { AgentEvent, GuestAgent, Sandbox } from '#engine';

const NEVER = new Promise<never>(() => undefined);

export interface Moment {
  readonly call: string;
  /** Of the calls of that name, from 1. */
  readonly nth: number;
  readonly when: 'before' | 'after';
}
/** Whether the process dies at that moment. */
export type Strike = (moment: Moment) => boolean;

/** What a killed process leaves of its objects: once closed, nothing they are asked takes place, and nobody hears of it. */
export class Grave {
  private closed = false;
  private readonly agents = new Set<GuestAgent>();
  private readonly calls = new Map<string, number>();

  constructor(private readonly strike: Strike = () => false) {}

  /** The kernel closes the connections of a process that dies. */
  close(): void {
    this.closed = true;
    for (const agent of this.agents) agent.close();
  }

  mortal<T extends object>(target: T, overrides: Partial<T> = {}): T {
    return new Proxy(target, {
      get: (object, name) => {
        const value: unknown = name in overrides ? Reflect.get(overrides, name) : Reflect.get(object, name);
        if (value instanceof Promise) return value.then((settled: unknown) => (this.closed ? NEVER : settled));
        if (typeof value !== 'function') return value;
        return (...args: unknown[]): unknown => {
          const call = String(name);
          const nth = (this.calls.get(call) ?? 0) + 1;
          this.calls.set(call, nth);
          if (this.strikes({ call, nth, when: 'before' })) return NEVER;
          const result: unknown = Reflect.apply(value, object, args);
          return result instanceof Promise
            ? result.then(
                (settled: unknown) => (this.strikes({ call, nth, when: 'after' }) ? NEVER : settled),
                (error: unknown) => (this.closed ? NEVER : Promise.reject(error as Error)),
              )
            : result;
        };
      },
    });
  }

  private strikes(moment: Moment): boolean {
    if (!this.closed && this.strike(moment)) this.close();
    return this.closed;
  }

  sandbox(sandbox: Sandbox): Sandbox {
    return this.mortal(sandbox, {
      connect: async (after) => {
        const agent = await sandbox.connect(after);
        this.agents.add(agent);
        void agent.closed.then(() => this.agents.delete(agent));
        return this.mortal(agent, { events: () => this.events(agent) });
      },
    });
  }

  private async *events(agent: GuestAgent): AsyncIterable<AgentEvent> {
    for await (const event of agent.events()) {
      if (this.closed) await NEVER;
      yield event;
    }
    if (this.closed) await NEVER;
  }
}
