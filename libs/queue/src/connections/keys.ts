import type { BuildId, NodeId, OperationId, RunId, TenantId } from '#kernel';

/** Every key of ours in Redis. The part in braces is the hash tag: keys of one script stand in one slot. */
export class QueueKeys {
  /** `prefix` ends in a colon. */
  constructor(readonly prefix: string) {}

  executing = (tenant: TenantId) => `${this.prefix}admission:{${tenant}}:executing`;
  line = (tenant: TenantId) => `${this.prefix}admission:{${tenant}}:line`;
  released = (tenant: TenantId) => `${this.prefix}admission:{${tenant}}:released`;
  claim = (run: RunId) => `${this.prefix}claim:${run}`;
  log = (of: RunId | BuildId | string) => `${this.prefix}log:{${of}}`;
  checkpoint = (of: RunId | BuildId | string) => `${this.prefix}log:{${of}}:checkpoint`;
  /** The incarnation of a node that lives; gone when it stops beating. */
  nodeAlive = (node: NodeId | string) => `${this.prefix}node-alive:${node}`;
  heartbeat = (node: NodeId | string) => `${this.prefix}node:${node}`;
  progress = (operation: OperationId) => `${this.prefix}progress:{${operation}}`;
  ticket = (digest: string) => `${this.prefix}ticket:${digest}`;
  wake = (id: string) => `${this.prefix}wake:${id}`;

  get nodes(): string { return `${this.prefix}nodes`; }
  get events(): string { return `${this.prefix}node-events`; }
  get bell(): string { return `${this.prefix}bell`; }
  get authInvalidation(): string { return `${this.prefix}auth-stale`; }
  /** The prefix BullMQ puts before `:<queue>:`. */
  get bull(): string { return `${this.prefix}bull`; }
  /** Virtual time of a fair queue: hash of the clock and the tenants' finish times. */
  fairClock = (queue: string) => `${this.prefix}fair:${queue}:clock`;
  fairTenants = (queue: string) => `${this.prefix}fair:${queue}:tenants`;
}
