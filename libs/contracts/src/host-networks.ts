import { z } from 'zod';

const labels = z.record(z.string(), z.string());

/** A network of a tenant's virtual host, as a node tells of it and as the public API shows it. */
export const networkViewSchema = z.object({
  id: z.string().describe('64 hex digits.'),
  name: z.string(),
  createdAt: z.int().describe('Milliseconds.'),
  driver: z.enum(['bridge', 'host', 'null']),
  subnet: z.string().nullable(),
  gateway: z.string().nullable(),
  ipRange: z.string().nullable(),
  internal: z.boolean(),
  dns: z.boolean().describe('Containers find each other by name.'),
  labels,
  options: labels,
  /** Running ones. */
  containers: z.array(z.object({ id: z.string(), name: z.string(), endpointId: z.string(), macAddress: z.string(), ipv4Address: z.string(), prefixLength: z.int() })),
});
export type NetworkView = z.infer<typeof networkViewSchema>;

export const createNetworkSchema = z.strictObject({
  name: z.string().min(1).max(255),
  driver: z.string().max(64).optional().describe('Only bridge.'),
  subnet: z.string().max(18).optional().describe('172.30.0.0/16; absent: a free one.'),
  gateway: z.string().max(15).optional(),
  ipRange: z.string().max(18).optional().describe('Of the subnet, what addresses are taken from.'),
  internal: z.boolean().default(false).describe('Without a way out.'),
  labels: labels.default({}),
  options: labels.default({}),
});
export type CreateNetworkBody = z.infer<typeof createNetworkSchema>;

export const connectNetworkSchema = z.strictObject({
  container: z.string().min(1).max(255),
  aliases: z.array(z.string().max(255)).max(64).default([]),
  ipv4Address: z.string().max(15).optional(),
  macAddress: z.string().max(17).optional(),
});
export type ConnectNetworkBody = z.infer<typeof connectNetworkSchema>;

export const disconnectNetworkSchema = z.strictObject({ container: z.string().min(1).max(255), force: z.boolean().default(false) });
export type DisconnectNetworkBody = z.infer<typeof disconnectNetworkSchema>;

/** How a container stands in the network. */
export const containerNetworkSchema = z.object({
  mode: z.string(),
  endpoints: z.array(
    z.object({
      networkName: z.string(),
      networkId: z.string(),
      requested: z.object({ aliases: z.array(z.string()), ipv4Address: z.string(), macAddress: z.string() }),
      endpointId: z.string(),
      ipv4Address: z.string(),
      prefixLength: z.int(),
      gateway: z.string(),
      macAddress: z.string(),
      dnsNames: z.array(z.string()),
    }),
  ),
  ports: z.array(z.object({ containerPort: z.int(), protocol: z.enum(['tcp', 'udp']), hostIp: z.string(), hostPort: z.int() })),
});
export type ContainerNetworkView = z.infer<typeof containerNetworkSchema>;
