import { CodedError, isId, type Id, type IdKind } from '#kernel';

/** Where a page ended, opaque to clients: the last id on it. Ids sort by time, so nothing is skipped when rows come or go. */
export function encodeCursor(lastId: string): string {
  return Buffer.from(lastId).toString('base64url');
}

/** @throws CodedError `invalid_argument` when it was not made by `encodeCursor` from an id of that kind. */
export function decodeCursor<K extends IdKind>(kind: K, cursor: string): Id<K> {
  const id = Buffer.from(cursor, 'base64url').toString('utf8');
  if (isId(kind, id)) return id;
  throw new CodedError('invalid_argument', 'cursor: not one that this list gave', { field: 'cursor' });
}

/** `rows` were asked for with `limit + 1`: the one too many says that there is a next page. */
export function pageOf<Row extends { id: string }, T>(rows: readonly Row[], limit: number, view: (row: Row) => T): { items: T[]; nextCursor: string | null } {
  const shown = rows.slice(0, limit);
  const last = shown.at(-1);
  return { items: shown.map(view), nextCursor: rows.length > limit && last !== undefined ? encodeCursor(last.id) : null };
}
