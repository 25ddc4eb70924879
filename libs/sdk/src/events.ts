import { eventFrameSchema, type EventFrame, type HostEventFrame } from '#contracts';
import { JsonSocket } from './json-socket.js';
import { resumed, type ResumeOptions } from './resumed.js';
import type { Transport } from './transport.js';

export interface FollowEvents extends ResumeOptions {
  /** The `id` of the last event that is known; absent: from now on. */
  readonly after?: string;
  readonly types?: readonly HostEventFrame['type'][];
  readonly actions?: readonly string[];
  /** IDs, or names, of what events happen to. */
  readonly subjects?: readonly string[];
}

/** What happens on the virtual host of the key's tenant. */
export class EventsApi {
  constructor(private readonly transport: Transport) {}

  /**
   * Events in order, each once, for as long as they are read. A connection that breaks is made anew behind the last of them.
   * @throws SandbarApiError `gone` when there were more of them meanwhile than the server keeps, and whatever else forbids them
   */
  async *follow(options: FollowEvents = {}): AsyncGenerator<HostEventFrame> {
    const { types = [], actions = [], subjects = [] } = options;
    let after = options.after;
    const frames = resumed<EventFrame>('the stream of events', options, {
      connect: () => new JsonSocket(this.transport, { path: '/v1/events', query: { type: types, action: actions, subject: subjects, ...(after === undefined ? {} : { after }) }, schema: eventFrameSchema, signal: options.signal }),
      isNew: ({ id, frame }) => {
        if (frame === 'event' && after !== undefined && BigInt(id) <= BigInt(after)) return false;
        after = id;
        return true;
      },
    });
    for await (const frame of frames) if (frame.frame === 'event') yield frame;
  }
}
