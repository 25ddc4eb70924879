import { z } from 'zod';
import { hostEventTypeSchema } from '#contracts';
import { queryList } from '../protocols/rest/query-list.js';

export const eventsQuerySchema = z.strictObject({
  after: z.string().regex(/^\d{1,19}$/, 'is not the id of an event').optional().describe('The last `id` that you have. Absent: from now on.'),
  type: queryList(hostEventTypeSchema).describe('May come several times.'),
  action: queryList(z.string().min(1).max(64)).describe('May come several times.'),
  subject: queryList(z.string().min(1).max(300)).describe('ID or name of what it happened to. May come several times.'),
});
export type EventsQuery = z.infer<typeof eventsQuerySchema>;

export const eventSocketQuerySchema = eventsQuerySchema.extend({ ticket: z.string().max(200).optional() });
