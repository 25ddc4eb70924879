import { CodedError, parseId, type Id, type IdKind } from '#kernel';
import type { RpcRoute } from '../node/rpc-server.js';

/** What this node has in hand just now, of one kind. */
export class ActiveJobs<K extends IdKind> {
  private readonly jobs = new Map<Id<K>, AbortController>();

  constructor(private readonly kind: K) {}

  /** Undefined when it is here already. */
  add(id: Id<K>): AbortController | undefined {
    if (this.jobs.has(id)) return undefined;
    const controller = new AbortController();
    this.jobs.set(id, controller);
    return controller;
  }

  remove(id: Id<K>): void {
    this.jobs.delete(id);
  }

  ids(): Id<K>[] {
    return [...this.jobs.keys()];
  }

  /** Answered at once: the end comes as an event. Idempotent. @throws CodedError `not_found` */
  cancel(id: Id<K>): void {
    const controller = this.jobs.get(id);
    if (controller === undefined) throw new CodedError('not_found', `this node does not hold that ${this.kind}`);
    controller.abort(new CodedError('cancelled', `the ${this.kind} was cancelled`));
  }

  /** Who may ask is the gateway's to decide. */
  cancelRoute(): RpcRoute {
    return {
      method: 'POST',
      path: new RegExp(`^\\/${this.kind}s\\/([^/]+)\\/cancel$`),
      handle: ({ groups }) => {
        this.cancel(parseId(this.kind, groups[0]));
        return Promise.resolve({});
      },
    };
  }
}
