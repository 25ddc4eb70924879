import { operationProgressSchema, operationViewSchema, type OperationProgress, type OperationView } from '#contracts';
import { SandbarApiError } from './errors.js';
import type { Transport } from './transport.js';

/** Pulls and pushes of the key's tenant. Each method throws SandbarApiError. */
export class OperationsApi {
  constructor(private readonly transport: Transport) {}

  get(id: string): Promise<OperationView> {
    return this.transport.call({ method: 'GET', path: pathOf(id) }, operationViewSchema);
  }

  /** Idempotent: one that is over stays as it is. */
  cancel(id: string): Promise<OperationView> {
    return this.transport.call({ method: 'POST', path: `${pathOf(id)}/cancel` }, operationViewSchema);
  }

  /** Its progress from line `after` on, until its end. */
  async *follow(id: string, { after = 0, signal }: { after?: number; signal?: AbortSignal } = {}): AsyncGenerator<OperationProgress> {
    for await (const line of this.transport.lines({ method: 'GET', path: `${pathOf(id)}/progress`, query: { after }, signal })) {
      const parsed = operationProgressSchema.safeParse(JSON.parse(line));
      if (!parsed.success) throw new SandbarApiError('protocol_violation', 'the progress holds something unknown', 200, undefined);
      yield parsed.data;
    }
  }
}

function pathOf(id: string): string {
  return `/v1/operations/${encodeURIComponent(id)}`;
}
