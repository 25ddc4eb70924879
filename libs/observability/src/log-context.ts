import { AsyncLocalStorage } from 'node:async_hooks';

/** Ids that every log line written in this context carries. */
export interface LogContext {
  requestId?: string;
  tenantId?: string;
  runId?: string;
  nodeId?: string;
}

const contexts = new AsyncLocalStorage<LogContext>();

/** Runs `work` so that all it logs, also later and asynchronously, carries `fields` beside those of the context around it. */
export function withLogContext<T>(fields: LogContext, work: () => T): T {
  return contexts.run({ ...contexts.getStore(), ...fields }, work);
}

/** Adds what becomes known on the way (the tenant, once the key is checked). Without a context it does nothing. */
export function assignLogContext(fields: LogContext): void {
  const context = contexts.getStore();
  if (context !== undefined) Object.assign(context, fields);
}

export function currentLogContext(): Readonly<LogContext> {
  return contexts.getStore() ?? {};
}
