import { isCodedError, type Logger, type NodeId } from '#kernel';

/** What of a home node's work a row says. */
interface HomeRow {
  readonly nodeId: NodeId;
  readonly finishedAt: Date | null;
}

export interface HomeEventRules<E, R> {
  readonly find: (event: E) => Promise<R | undefined>;
  readonly apply: (event: E) => Promise<unknown>;
  readonly logger: Logger;
}

/**
 * Writes what home nodes report of their tenants' work into the rows. Every event may come again, and then changes nothing. Only the row's own node is believed.
 * Ids are well-formed. Throws when any of it has to come again; the rest is done all the same.
 */
export async function applyHomeEvents<E extends { readonly type: string; readonly nodeId: string }, R extends HomeRow>(events: readonly E[], { find, apply, logger }: HomeEventRules<E, R>): Promise<void> {
  const failures: unknown[] = [];
  for (const event of events) {
    try {
      const row = await find(event);
      if (row === undefined || row.finishedAt !== null) continue;
      if (row.nodeId === event.nodeId) await apply(event);
      else logger.warn({ type: event.type, nodeId: event.nodeId }, "dropped an event of what is another node's");
    } catch (error) {
      // What the database will never take must not come again for ever: the reconciler ends the row.
      if (isCodedError(error) && error.code !== 'unavailable') logger.error({ err: error, type: event.type }, 'an event of a node cannot be stored');
      else failures.push(error);
    }
  }
  if (failures.length > 0) throw new AggregateError(failures, `${failures.length} events of home nodes could not be stored`);
}
