import { CodedError, type OperationId } from '#kernel';

/** What this node is pulling and pushing just now. */
export class ActiveOperations {
  private readonly operations = new Map<OperationId, AbortController>();

  /** Undefined when it is here already. */
  add(id: OperationId): AbortController | undefined {
    if (this.operations.has(id)) return undefined;
    const controller = new AbortController();
    this.operations.set(id, controller);
    return controller;
  }

  remove(id: OperationId): void {
    this.operations.delete(id);
  }

  /** Answered at once: the end comes as an event. Idempotent. @throws CodedError `not_found` */
  cancel(id: OperationId): void {
    const controller = this.operations.get(id);
    if (controller === undefined) throw new CodedError('not_found', 'this node does not hold that operation');
    controller.abort(new CodedError('cancelled', 'the operation was cancelled'));
  }
}
