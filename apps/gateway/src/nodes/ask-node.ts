import type { z } from 'zod';
import type { NodeRequest } from './node-connection.js';

export type NodeQuery = Readonly<Record<string, string | number | boolean | readonly string[] | undefined>>;
export type NodeRequestRest = Omit<NodeRequest, 'method' | 'path' | 'headers'>;

/** One call to a tenant's host, its answer checked. @throws CodedError `protocol_violation`, and the node's own */
export type AskNode = <T>(method: NodeRequest['method'], path: string, query: NodeQuery, schema: z.ZodType<T>, rest?: NodeRequestRest) => Promise<T>;
