import { isIP } from 'node:net';
import { availableParallelism } from 'node:os';
import { z } from 'zod';
import { isId, type NodeId } from '#kernel';
import { durationCodec, sizeCodec } from './quantities.js';
import { redisUrlSchema } from './redis-url.js';

/** What a variable's schema says of itself beside its rule. `initial` is shown in the example file where the default is computed. */
export interface VariableMeta {
  readonly description: string;
  readonly secret?: true;
  readonly initial?: string;
}

export const LOG_LEVELS = ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

/** Where the node's RPC listens. */
export type NodeRpcListen = { readonly kind: 'unix'; readonly path: string } | { readonly kind: 'tcp'; readonly host: string; readonly port: number };

const integer = z.string().regex(/^\d{1,9}$/, 'must be a whole number').transform(Number);
const absolutePath = z.string().regex(/^\/[^\0]*$/, 'must be an absolute path');
const token = z.string().min(32, 'must hold at least 32 characters').regex(/^[\x21-\x7e]+$/, 'must be printable ASCII without spaces');

function describe<S extends z.ZodType>(schema: S, meta: VariableMeta): S {
  return schema.meta({ ...meta });
}

function range(min: number, max: number) {
  return integer.refine((value) => value >= min && value <= max, `must be ${min} to ${max}`);
}

function duration(minMs: number, initial: string) {
  return durationCodec.refine((ms) => ms >= minMs, `must be at least ${durationCodec.encode(minMs)}`).prefault(initial);
}

/** Shared by both apps. */
export const commonVariables = {
  REDIS_URL: describe(redisUrlSchema, { description: 'Redis: redis://[user:password@]host[:port][/db], rediss://… or unix:/path?password=…&db=0.', secret: true }),
  SANDBAR_NODE_RPC_TOKEN: describe(token, { description: 'What gateways show to nodes. At least 32 characters, the same on both sides.', secret: true }),
  SANDBAR_LOG_LEVEL: describe(z.enum(LOG_LEVELS).default('info'), { description: `One of ${LOG_LEVELS.join(', ')}.` }),
  SANDBAR_METRICS_TOKEN: describe(token.optional(), { description: 'Bearer token that GET /metrics asks for. Optional.', secret: true }),
  SANDBAR_SHUTDOWN_GRACE: describe(duration(0, '10s'), { description: 'How long work in hand may go on after SIGTERM.' }),
};

export const gatewayVariables = {
  SANDBAR_HOST: describe(z.string().regex(/^[0-9A-Za-z.:_-]+$/, 'must be an address or a host name').default('127.0.0.1'), { description: 'Address the API listens on.' }),
  SANDBAR_PORT: describe(range(0, 65_535).prefault('8080'), { description: 'Port the API listens on.' }),
  SANDBAR_TLS_AUTHORITY: describe(
    z.string().regex(/-----BEGIN CERTIFICATE-----[^]+PRIVATE KEY-----/, 'must hold a certificate and a private key in PEM').optional(),
    { description: 'Certificate authority of this installation, certificate and private key in PEM (main-authority.js makes one). With it the port serves TLS beside HTTP, and client certificates stand for keys. Optional.', secret: true },
  ),
  SANDBAR_TLS_NAMES: describe(
    z.string().regex(/^[0-9A-Za-z.:*-]+(,[0-9A-Za-z.:*-]+)*$/, 'must be host names and addresses with commas between').transform((text) => text.split(',')).prefault('localhost,127.0.0.1,::1'),
    { description: "Names and addresses by which clients reach this server: they stand in its certificate." },
  ),
  DATABASE_URL: describe(
    z.string().refine((text) => /^postgres(ql)?:\/\//.test(text) && URL.canParse(text), 'must be a postgresql:// URL'),
    { description: 'PostgreSQL: postgresql://user:password@host:port/database.', secret: true },
  ),
  ...commonVariables,
  SANDBAR_BODY_LIMIT: describe(sizeCodec.refine((bytes) => bytes >= 1024, 'must be at least 1KiB').prefault('16MiB'), { description: 'Largest request body.' }),
  SANDBAR_RUN_RETENTION: describe(duration(60_000, '7d'), { description: 'How long finished runs and their logs are kept.' }),
  SANDBAR_LOG_GRACE: describe(duration(1000, '60s'), { description: "How long Redis keeps a finished run's log for those who follow it." }),
};

export const workerVariables = {
  ...commonVariables,
  SANDBAR_DATA_DIR: describe(absolutePath.default('/var/lib/sandbar'), { description: 'Where the node keeps its state.' }),
  SANDBAR_NODE_ID: describe(
    z.string().transform((text, context): NodeId => {
      if (isId('node', text)) return text;
      context.issues.push({ code: 'custom', input: text, message: 'must be nod_ and 26 base-32 digits' });
      return z.NEVER;
    }),
    { description: 'Id of this node, the same after each restart.' },
  ),
  SANDBAR_NODE_RPC_LISTEN: describe(
    z.string().transform((text, context): NodeRpcListen => {
      const listen = parseListen(text);
      if (listen !== undefined) return listen;
      context.issues.push({ code: 'custom', input: text, message: 'must be unix:/path or host:port' });
      return z.NEVER;
    }),
    { description: 'Where node RPC listens: unix:/path or host:port. Private: gateways only.', initial: 'unix:/var/lib/sandbar/run/node-rpc.sock' },
  ),
  SANDBAR_NODE_RPC_GROUP: describe(integer.optional(), { description: "Group id that may connect to node RPC's Unix socket: the gateway's. Default: root only.", initial: '' }),
  SANDBAR_NODE_CONCURRENCY: describe(
    range(1, 10_000).prefault(() => String(16 * availableParallelism())),
    { description: 'Runs this node executes at once. Default: 16 per core.', initial: '' },
  ),
  SANDBAR_OCI_RUNTIME: describe(z.enum(['crun', 'runc']).default('crun'), { description: 'The OCI runtime: crun or runc.' }),
  SANDBAR_CGROUP_ROOT: describe(z.string().regex(/^[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}$/, 'must be one plain path component').default('sandbar'), { description: "Name of the cgroup all sandboxes stand under." }),
  SANDBAR_INSECURE_REGISTRIES: hosts('Registries that may be spoken to in plain HTTP, and at a private address: host[:port], with commas between.'),
  SANDBAR_PRIVATE_REGISTRIES: hosts('Registries that may be spoken to at a private address, over TLS: host[:port], with commas between.'),
  SANDBAR_REGISTRY_MIRRORS: describe(
    z
      .string()
      .transform((text) => text.split(',').map((url) => url.trim()).filter((url) => url !== ''))
      .refine((list) => list.every((url) => /^https?:\/\//.test(url) && URL.canParse(url)), 'must be http(s) URLs, with commas between')
      .prefault(''),
    { description: "URLs of registries that are asked first for Docker Hub's images, with commas between.", initial: '' },
  ),
  SANDBAR_PUBLISH_ADDRESS: describe(z.string().refine((text) => isIP(text) !== 0, 'must be an IP address').default('127.0.0.1'), {
    description: "Address of this node on which containers' ports are opened for tenants that may publish on it.",
  }),
  SANDBAR_PUBLISH_PORTS: describe(
    z.string().transform((text, context): { readonly first: number; readonly last: number } => {
      const match = /^(\d{1,5})-(\d{1,5})$/.exec(text);
      const [first, last] = [Number(match?.[1]), Number(match?.[2])];
      if (match !== null && first >= 1 && first <= last && last <= 65_535) return { first, last };
      context.issues.push({ code: 'custom', input: text, message: 'must be two ports, first-last' });
      return z.NEVER;
    }).prefault('1024-65535'),
    { description: 'Ports that may be opened there: first-last.' },
  ),
  SANDBAR_EGRESS_ALLOW: describe(
    list().refine((entries) => entries.every(isIpv4Network), 'must be IPv4 networks such as 10.1.0.0/16, with commas between').prefault(''),
    { description: 'Private networks that containers of all tenants may reach, with commas between. All others are closed, whatever a tenant asks for.', initial: '' },
  ),
  SANDBAR_DNS_SERVERS: describe(
    list().refine((entries) => entries.every((text) => isIP(text) !== 0 || /^(\d+\.\d+\.\d+\.\d+|\[[0-9a-fA-F:]+\]):\d{1,5}$/.test(text)), 'must be addresses, or address:port, with commas between').prefault(''),
    { description: "Resolvers that are asked for containers, with commas between. Default: those of /etc/resolv.conf.", initial: '' },
  ),
  SANDBAR_NATIVE_DIR: describe(absolutePath.optional(), { description: 'Where sandbar-init, sandbar-spawner, sandbar-tree and sandbar-net are. Default: dist/native of this installation.', initial: '' }),
};

function list() {
  return z.string().transform((text) => text.split(',').map((entry) => entry.trim()).filter((entry) => entry !== ''));
}

/** Of these, what concerns the engine alone: its store, its walls, its ways out. */
export const engineVariables = {
  SANDBAR_DATA_DIR: workerVariables.SANDBAR_DATA_DIR,
  SANDBAR_OCI_RUNTIME: workerVariables.SANDBAR_OCI_RUNTIME,
  SANDBAR_CGROUP_ROOT: workerVariables.SANDBAR_CGROUP_ROOT,
  SANDBAR_INSECURE_REGISTRIES: workerVariables.SANDBAR_INSECURE_REGISTRIES,
  SANDBAR_PRIVATE_REGISTRIES: workerVariables.SANDBAR_PRIVATE_REGISTRIES,
  SANDBAR_REGISTRY_MIRRORS: workerVariables.SANDBAR_REGISTRY_MIRRORS,
  SANDBAR_PUBLISH_ADDRESS: workerVariables.SANDBAR_PUBLISH_ADDRESS,
  SANDBAR_PUBLISH_PORTS: workerVariables.SANDBAR_PUBLISH_PORTS,
  SANDBAR_EGRESS_ALLOW: workerVariables.SANDBAR_EGRESS_ALLOW,
  SANDBAR_DNS_SERVERS: workerVariables.SANDBAR_DNS_SERVERS,
  SANDBAR_NATIVE_DIR: workerVariables.SANDBAR_NATIVE_DIR,
};

/** No bits behind the prefix: who writes some means something else. */
function isIpv4Network(text: string): boolean {
  const [address = '', prefix = ''] = text.split('/');
  if (isIP(address) !== 4 || !/^([0-9]|[12][0-9]|3[0-2])$/.test(prefix)) return false;
  const value = address.split('.').reduce((sum, part) => sum * 256 + Number(part), 0);
  return value % 2 ** (32 - Number(prefix)) === 0;
}

/** `host[:port]`, several with commas between. */
function hosts(description: string) {
  return describe(
    z
      .string()
      .transform((text) => text.split(',').map((host) => host.trim()).filter((host) => host !== ''))
      .refine((list) => list.every((host) => /^(?:[\w.-]+|\[[0-9A-Fa-f:]+\])(?::\d{1,5})?$/.test(host)), 'must be host or host:port, with commas between')
      .prefault(''),
    { description, initial: '' },
  );
}

function parseListen(text: string): NodeRpcListen | undefined {
  // sun_path holds 107 bytes and a NUL (unix(7)).
  const socket = /^unix:(\/[^\0]+)$/.exec(text)?.[1];
  if (socket !== undefined) return Buffer.byteLength(socket) <= 107 ? { kind: 'unix', path: socket } : undefined;
  const match = /^(?:\[([0-9A-Fa-f:.]+)\]|([0-9A-Za-z._-]+)):(\d{1,5})$/.exec(text);
  const host = match?.[1] ?? match?.[2];
  const port = Number(match?.[3]);
  return host !== undefined && port <= 65_535 ? { kind: 'tcp', host, port } : undefined;
}
