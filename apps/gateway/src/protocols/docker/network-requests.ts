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
  const { IPAM: ipam } = body;
  if (body.Name.trim() === '') throw badParameter('invalid network name: name is empty');
  if (body.Scope !== '' && body.Scope !== 'local') throw unsupported(`the scope "${body.Scope.slice(0, 100)}"`);
  if (body.Ingress || body.ConfigOnly || body.ConfigFrom.Network !== '') throw unsupported('a network of a swarm');
  if (body.EnableIPv6 || !body.EnableIPv4) throw unsupported('a network with IPv6, or without IPv4');
  if (ipam.Driver !== '' && ipam.Driver !== 'default') throw badParameter(`could not find plugin ${ipam.Driver.slice(0, 100)} in v1 plugin registry: plugin "${ipam.Driver.slice(0, 100)}" not found`);
  if (ipam.Config.length > 1) throw unsupported('a network with more than one subnet');
  const [pool] = ipam.Config;
  if (pool !== undefined && Object.keys(pool.AuxiliaryAddresses).length > 0) throw unsupported('an auxiliary address');
  return parseDocker(createNetworkSchema, {
    name: body.Name,
    internal: body.Internal,
    labels: body.Labels,
    options: body.Options,
    ...(body.Driver === '' ? {} : { driver: body.Driver }),
    ...(pool === undefined || pool.Subnet === '' ? {} : { subnet: pool.Subnet }),
    ...(pool === undefined || pool.Gateway === '' ? {} : { gateway: pool.Gateway }),
    ...(pool === undefined || pool.IPRange === '' ? {} : { ipRange: pool.IPRange }),
  });
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
