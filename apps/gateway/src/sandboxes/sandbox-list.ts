import type { ContainerView, Page, SandboxView } from '#contracts';
import { CodedError } from '#kernel';
import type { ListSandboxesQuery } from './sandbox-requests.schema.js';
import { toSandboxView } from './sandbox-view.js';

/** Newest first; of two that were made in the same millisecond, by ID. */
type Place = Pick<ContainerView, 'createdAt' | 'id'>;

/** A page of what the filters let through. A cursor is the place of the last one on the page, so that nothing is skipped or doubled when sandboxes come and go. */
export function pageOfSandboxes(containers: readonly ContainerView[], { limit, cursor, ...filters }: ListSandboxesQuery): Page<SandboxView> {
  const after = cursor === undefined ? undefined : placeOf(cursor);
  const ordered = [...containers].sort(compare).filter((container) => after === undefined || compare(after, container) < 0);
  const found: SandboxView[] = [];
  let last: Place | undefined;
  for (const container of ordered) {
    const view = toSandboxView(container);
    if (!accepts(filters, view)) continue;
    if (found.length === limit) return { items: found, nextCursor: last === undefined ? null : cursorOf(last) };
    found.push(view);
    last = container;
  }
  return { items: found, nextCursor: null };
}

function compare(one: Place, other: Place): number {
  return other.createdAt - one.createdAt || (one.id < other.id ? -1 : one.id > other.id ? 1 : 0);
}

function accepts({ state, label, namePrefix }: Pick<ListSandboxesQuery, 'state' | 'label' | 'namePrefix'>, view: SandboxView): boolean {
  if (state.length > 0 && !state.includes(view.state)) return false;
  if (namePrefix !== undefined && !view.name.startsWith(namePrefix)) return false;
  return label.every((wanted) => hasLabel(view.labels, wanted));
}

/** `key` or `key=value`. */
function hasLabel(labels: Readonly<Record<string, string>>, wanted: string): boolean {
  const cut = wanted.indexOf('=');
  const key = cut === -1 ? wanted : wanted.slice(0, cut);
  return Object.hasOwn(labels, key) && (cut === -1 || labels[key] === wanted.slice(cut + 1));
}

function cursorOf({ createdAt, id }: Place): string {
  return Buffer.from(`${createdAt}.${id}`).toString('base64url');
}

/** @throws CodedError `invalid_argument` */
function placeOf(cursor: string): Place {
  const [, createdAt, id] = /^(\d{1,15})\.([0-9a-f]{64})$/.exec(Buffer.from(cursor, 'base64url').toString('latin1')) ?? [];
  if (createdAt === undefined || id === undefined) throw new CodedError('invalid_argument', 'cursor: not one that this list gave', { field: 'cursor' });
  return { createdAt: Number(createdAt), id };
}
