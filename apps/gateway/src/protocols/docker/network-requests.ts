import { z } from 'zod';
import { connectNetworkSchema, createNetworkSchema, disconnectNetworkSchema, type ConnectNetworkBody, type CreateNetworkBody, type DisconnectNetworkBody } from '#contracts';
import { goStruct } from './container-config.js';
import { endpointSchema, endpointSettings } from './container-networks.js';
import { badParameter, unsupported } from './errors.js';
import { parseDocker } from './parse-docker.js';

const text = z.string().default('');
const flag = z.boolean().default(false);
const texts = z.record(z.string(), z.string()).default({});

const poolSchema = goStruct({ Subnet: text, IPRange: text, Gateway: text, AuxiliaryAddresses: texts });
const createSchema = goStruct({
  Name: text,
  Driver: text,
  Scope: text,
  EnableIPv4: z.boolean().default(true),
  EnableIPv6: flag,
  Internal: flag,
  Attachable: flag,
  Ingress: flag,
  ConfigOnly: flag,
  ConfigFrom: goStruct({ Network: text }).prefault({}),
  IPAM: goStruct({ Driver: text, Options: texts, Config: z.array(poolSchema).default([]) }).prefault({}),
  Options: texts,
  Labels: texts,
});
const connectSchema = goStruct({ Container: text, EndpointConfig: endpointSchema.prefault({}) });
const disconnectSchema = goStruct({ Container: text, Force: flag });

/** @throws CodedError `invalid_argument`, `unsupported` */
export function translateNetwork(json: Readonly<Record<string, unknown>>): CreateNetworkBody {
  const body = parseDocker(createSchema, json);
  refuse(body);
  const [pool] = body.IPAM.Config;
  return parseDocker(createNetworkSchema, {
    name: body.Name,
    internal: body.Internal,
    labels: body.Labels,
    options: body.Options,
    ...(body.Driver === '' ? {} : { driver: body.Driver }),
    ...(pool === undefined ? {} : addressesOf(pool)),
  });
}

function refuse({ Name: name, Scope: scope, Ingress: ingress, ConfigOnly: configOnly, ConfigFrom: from, EnableIPv4: v4, EnableIPv6: v6, IPAM: ipam }: z.output<typeof createSchema>): void {
  if (name.trim() === '') throw badParameter('invalid network name: name is empty');
  if (scope !== '' && scope !== 'local') throw unsupported(`the scope "${scope.slice(0, 100)}"`);
  if (ingress || configOnly || from.Network !== '') throw unsupported('a network of a swarm');
  if (v6 || !v4) throw unsupported('a network with IPv6, or without IPv4');
  const driver = ipam.Driver.slice(0, 100);
  if (driver !== '' && driver !== 'default') throw badParameter(`could not find plugin ${driver} in v1 plugin registry: plugin "${driver}" not found`);
  if (ipam.Config.length > 1) throw unsupported('a network with more than one subnet');
  if (ipam.Config.some(({ AuxiliaryAddresses: others }) => Object.keys(others).length > 0)) throw unsupported('an auxiliary address');
}

function addressesOf({ Subnet: subnet, Gateway: gateway, IPRange: ipRange }: z.output<typeof poolSchema>): Pick<CreateNetworkBody, 'subnet' | 'gateway' | 'ipRange'> {
  return { ...(subnet === '' ? {} : { subnet }), ...(gateway === '' ? {} : { gateway }), ...(ipRange === '' ? {} : { ipRange }) };
}

export function translateConnect(json: Readonly<Record<string, unknown>>): ConnectNetworkBody {
  const { Container: container, EndpointConfig: config } = parseDocker(connectSchema, json);
  if ((config.Links ?? []).length > 0) throw unsupported('a link to a container that is there already');
  return parseDocker(connectNetworkSchema, { container, ...endpointSettings(config) });
}

export function translateDisconnect(json: Readonly<Record<string, unknown>>): DisconnectNetworkBody {
  const { Container: container, Force: force } = parseDocker(disconnectSchema, json);
  return parseDocker(disconnectNetworkSchema, { container, force });
}
