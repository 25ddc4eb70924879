/** From the n-th asynchronous call on nothing settles any more, as in a process that is gone. */
export class Death {
  private left = Number.POSITIVE_INFINITY;
  private readonly reached = Promise.withResolvers<undefined>();

  constructor(
    private readonly calls: number,
    private readonly when: 'before' | 'after',
  ) {}

  arm(): void {
    this.left = this.calls;
  }

  get came(): Promise<void> {
    return this.reached.promise;
  }

  wrap<T extends object>(part: T): T {
    return new Proxy(part, {
      get: (target, key) => {
        const member: unknown = Reflect.get(target, key, target);
        if (typeof member !== 'function') return member;
        return (...args: unknown[]): unknown => this.called(() => Reflect.apply(member, target, args) as unknown);
      },
    });
  }

  private called(call: () => unknown): unknown {
    if (this.left <= 0) return this.never();
    this.left -= 1;
    if (this.left === 0 && this.when === 'before') return this.never();
    const result = call();
    if (!(result instanceof Promise)) {
      this.left += 1;
      return result;
    }
    return this.left > 0 ? result : result.then(() => this.never());
  }

  private never(): Promise<never> {
    this.reached.resolve(undefined);
    return new Promise(() => undefined);
  }
}
