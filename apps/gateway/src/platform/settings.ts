import type { TlsIdentity } from '../tls/tls-identity.js';

/** What the gateway's parts need of the configuration; `main.ts` maps libs/config to it. */
export interface GatewaySettings {
  readonly host: string;
  readonly port: number;
  /** Serves TLS beside HTTP on the port: the installation's authority, and the names and addresses of this server. */
  readonly tls: { readonly identity: TlsIdentity; readonly names: readonly string[] } | undefined;
  /** Shown to nodes as `Authorization: Bearer`. */
  readonly nodeRpcToken: string;
  /** With it, GET /metrics answers callers from elsewhere than this machine. */
  readonly metricsToken: string | undefined;
  /** Largest request body. A run carries at most 8 MiB of source, which base64 and JSON escapes make larger. */
  readonly bodyLimitBytes: number;
  /** A request whose headers and body are not there after this time is answered with 408. */
  readonly requestTimeoutMs: number;
  /** Of one address; then it waits. */
  readonly failedAuthenticationsPerMinute: number;
  /** A client that takes nothing of its answer for so long is cut. */
  readonly stallMs: number;
  /** How long a finished run's log stays in Redis after it was saved, for those who are reading it. */
  readonly logGraceSeconds: number;
  /** Finished runs and their logs are deleted when they are older. */
  readonly retentionMs: number;
  /** Pause between two rounds of the reconciler. */
  readonly reconcileIntervalMs: number;
  /** How long a stopping gateway waits for its requests. */
  readonly shutdownGraceMs: number;
}

export const DEFAULT_SETTINGS = {
  host: '127.0.0.1',
  port: 8080,
  tls: undefined,
  metricsToken: undefined,
  bodyLimitBytes: 20 * 1024 * 1024,
  requestTimeoutMs: 30_000,
  failedAuthenticationsPerMinute: 60,
  stallMs: 30_000,
  logGraceSeconds: 60,
  retentionMs: 7 * 24 * 3600 * 1000,
  reconcileIntervalMs: 2_000,
  shutdownGraceMs: 10_000,
} as const satisfies Partial<GatewaySettings>;
