import type { HostEventFrame, HostEventView } from '#contracts';
import type { EventsQuery } from './event-requests.schema.js';

const TYPE_OF: Readonly<Record<HostEventView['type'], HostEventFrame['type']>> = { container: 'sandbox', image: 'image', volume: 'volume', network: 'network', builder: 'build' };

/** The engine publishes in Docker's words; these are ours. */
const ACTION_OF: Readonly<Record<string, string>> = { die: 'exit', kill: 'signal', unpause: 'resume', destroy: 'remove', delete: 'remove', health_status: 'health' };

export function toEventFrame({ timeNs, type, action, id, attributes }: HostEventView): HostEventFrame {
  // `health_status: healthy`, `exec_start: sh -c …`
  const cut = action.indexOf(': ');
  const word = cut === -1 ? action : action.slice(0, cut);
  return {
    frame: 'event',
    id: timeNs,
    time: new Date(Number(BigInt(timeNs) / 1_000_000n)).toISOString(),
    type: TYPE_OF[type],
    action: ACTION_OF[word] ?? word,
    subject: id,
    attributes: cut === -1 ? attributes : { ...attributes, detail: action.slice(cut + 2) },
  };
}

export function acceptsFrame({ type, action, subject }: Pick<EventsQuery, 'type' | 'action' | 'subject'>, frame: HostEventFrame): boolean {
  if (type.length > 0 && !type.includes(frame.type)) return false;
  if (action.length > 0 && !action.includes(frame.action)) return false;
  return subject.length === 0 || subject.includes(frame.subject) || subject.includes(frame.attributes['name'] ?? '');
}
