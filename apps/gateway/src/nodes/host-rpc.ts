import type { IncomingMessage } from 'node:http';
import type { z } from 'zod';
import { CodedError } from '#kernel';
import type { NodeConnection, NodeRequest } from './node-connection.js';
import type { Upgraded } from './node-upgrade.js';
import type { HostTenant } from './tenant-host.js';

export type Query = Readonly<Record<string, string | number | boolean | readonly string[] | undefined>>;
export type Rest = Omit<NodeRequest, 'method' | 'path' | 'headers'> & { /** Beside those of each call. */ readonly headers?: Readonly<Record<string, string>> };

/** Calls below `/tenants/<id>` of a tenant's home node. `connect` finds it anew for each call: nodes come back at other addresses. */
export class HostRpc {
  constructor(
    private readonly tenant: HostTenant,
    private readonly connect: () => Promise<NodeConnection>,
  ) {}

  async json<T>(method: NodeRequest['method'], path: string, query: Query, schema: z.ZodType<T>, rest: Rest = {}): Promise<T> {
    const connection = await this.connect();
    return checked(schema, await connection.json({ ...rest, method, path: this.path(path, query), headers: { ...rest.headers, ...this.headers() } }));
  }

  async stream(method: NodeRequest['method'], path: string, query: Query, rest: Rest): Promise<IncomingMessage> {
    const connection = await this.connect();
    return connection.stream({ ...rest, method, path: this.path(path, query), headers: { ...rest.headers, ...this.headers() } });
  }

  async upgrade(path: string, query: Query, signal: AbortSignal, json?: unknown): Promise<Upgraded> {
    const connection = await this.connect();
    return connection.upgrade({ path: this.path(path, query), headers: {}, json, signal });
  }

  private path(path: string, query: Query): string {
    const search = new URLSearchParams();
    for (const [name, value] of Object.entries(query)) {
      if (value === undefined || value === false) continue;
      for (const each of typeof value === 'object' ? value : [value === true ? '1' : String(value)]) search.append(name, each);
    }
    return `/tenants/${this.tenant.id}${path}${search.size === 0 ? '' : `?${search.toString()}`}`;
  }

  private headers(): Record<string, string> {
    return { 'x-sandbar-limits': JSON.stringify(this.tenant.limits) };
  }
}

/** @throws CodedError `protocol_violation`: a node that was broken into may answer what it likes */
export function checked<T>(schema: z.ZodType<T>, value: unknown): T {
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  throw new CodedError('protocol_violation', "the node's answer is malformed", { issues: parsed.error.issues.slice(0, 5).map(({ path, message }) => `${path.join('.')}: ${message}`) });
}
