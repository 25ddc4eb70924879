import type { HostEventView } from '#contracts';
import type { HostEvent } from '#engine';
import { CodedError } from '#kernel';
import { RpcLines } from '../node/rpc-answers.js';
import type { RpcRoute } from '../node/rpc-server.js';
import { hostRoute, type HostCall } from './host-route.js';
import type { HostServices } from './host-services.js';

/**
 * GET `/events?since=`: what is kept of the past, then live. GET `/events/resume?after=`: all of it or `gone`; the first line is `{position}`, what to
 * come back with when no event has come.
 */
export function eventRoutes(services: Pick<HostServices, 'events'>): RpcRoute[] {
  return [
    hostRoute('GET', '/events', (call) => Promise.resolve(new RpcLines(eventViews(services.events.follow(call.tenantId, nanoseconds(call, 'since'), call.signal))))),
    hostRoute('GET', '/events/resume', (call) => {
      const after = nanoseconds(call, 'after') ?? services.events.position(call.tenantId);
      if (!services.events.covers(call.tenantId, after)) return Promise.reject(new CodedError('gone', 'the events after that one are not kept any more'));
      return Promise.resolve(new RpcLines(withPosition(after, eventViews(services.events.follow(call.tenantId, after, call.signal)))));
    }),
  ];
}

async function* withPosition(position: bigint, views: AsyncIterable<HostEventView>): AsyncGenerator<object, void, undefined> {
  yield { position: position.toString() };
  yield* views;
}

function nanoseconds({ query }: HostCall, name: string): bigint | undefined {
  const text = query.get(name);
  if (text === null || text === '') return undefined;
  if (!/^\d{1,19}$/.test(text)) throw new CodedError('invalid_argument', `${name}: not nanoseconds`);
  return BigInt(text);
}

async function* eventViews(events: AsyncIterable<HostEvent>): AsyncGenerator<HostEventView, void, undefined> {
  for await (const { timeNs, type, action, id, attributes } of events) yield { timeNs: timeNs.toString(), type, action, id, attributes: { ...attributes } };
}
