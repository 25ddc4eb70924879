import { z } from 'zod';

export const HOST_EVENT_TYPES = ['sandbox', 'image', 'volume', 'network', 'build'] as const;
export const hostEventTypeSchema = z.enum(HOST_EVENT_TYPES);

/** Something that happened on the tenant's virtual host. */
export const hostEventFrameSchema = z.object({
  frame: z.literal('event'),
  /** Rises from event to event. `?after=` takes it. */
  id: z.string(),
  time: z.iso.datetime(),
  type: hostEventTypeSchema,
  /** Of a sandbox: `create start exit stop signal pause resume restart rename update health oom commit export remove exec_start …`; of an image: `pull push tag untag load import save remove`; of volumes and networks: `create remove …`. */
  action: z.string(),
  /** The ID of what it happened to; of a volume, its name. */
  subject: z.string(),
  /** `name`, `image`, labels, `exitCode` … */
  attributes: z.record(z.string(), z.string()),
});

/** The first frame, and one in each quarter of a minute: everything up to `id` was sent or did not pass the filters. */
export const heartbeatFrameSchema = z.object({ frame: z.literal('heartbeat'), id: z.string(), time: z.iso.datetime() });

export const eventFrameSchema = z.discriminatedUnion('frame', [hostEventFrameSchema, heartbeatFrameSchema]);
export type HostEventFrame = z.infer<typeof hostEventFrameSchema>;
/** One line, or one WebSocket message. A stream that ends is not over: reconnect with `?after=<last id>`. */
export type EventFrame = z.infer<typeof eventFrameSchema>;
