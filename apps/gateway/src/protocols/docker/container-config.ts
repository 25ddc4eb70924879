import { z } from 'zod';
import { pick } from './docker-body.js';

/**
 * The body of `POST /containers/create`, by an allow-list: what stands here is looked at and kept, everything else is dropped. Members are taken in
 * any case and `null` is absence, as Go's decoder has it.
 */
const text = z.string().default('');
const flag = z.boolean().default(false);
const number = z.number().default(0);
const texts = z.array(z.string()).nullable().default(null);
const list = z.array(z.unknown()).nullable().default(null);
const textMap = z.record(z.string(), z.string());
const keys = z.record(z.string(), z.looseObject({}).nullable()).nullable().default(null);
/** Docker takes a command as a list or as one string. */
const command = z.union([z.array(z.string()), z.string().transform((one) => [one])]).nullable().default(null);

/** An object as Go's decoder reads it: its members in any case, others dropped. */
export function goStruct<S extends z.ZodRawShape>(shape: S) {
  const fields = Object.keys(shape);
  return z.preprocess((value) => (typeof value === 'object' && value !== null && !Array.isArray(value) ? pick(value as Record<string, unknown>, fields) : value), z.object(shape));
}

export const ulimitsSchema = z.array(goStruct({ Name: text, Soft: number, Hard: number }));
export type Ulimits = z.infer<typeof ulimitsSchema>;

export const mountSchema = goStruct({
  Type: text,
  Source: text,
  Target: text,
  ReadOnly: flag,
  Consistency: text,
  BindOptions: goStruct({ Propagation: text, NonRecursive: flag, CreateMountpoint: flag, ReadOnlyNonRecursive: flag, ReadOnlyForceRecursive: flag }).optional(),
  VolumeOptions: goStruct({ NoCopy: flag, Labels: textMap.optional(), Subpath: text, DriverConfig: goStruct({ Name: text, Options: textMap.optional() }).optional() }).optional(),
  TmpfsOptions: goStruct({ SizeBytes: number, Mode: number, Options: list }).optional(),
  ImageOptions: goStruct({ Subpath: text }).optional(),
});
export type DockerMount = z.output<typeof mountSchema>;

const configShape = {
  Hostname: text,
  Domainname: text,
  User: text,
  AttachStdin: flag,
  AttachStdout: flag,
  AttachStderr: flag,
  ExposedPorts: keys,
  Tty: flag,
  OpenStdin: flag,
  StdinOnce: flag,
  Env: texts,
  Cmd: command,
  Healthcheck: goStruct({ Test: texts, Interval: number, Timeout: number, StartPeriod: number, StartInterval: number, Retries: number }).optional(),
  ArgsEscaped: z.boolean().optional(),
  Image: text,
  Volumes: keys,
  WorkingDir: text,
  Entrypoint: command,
  NetworkDisabled: z.boolean().optional(),
  MacAddress: z.string().optional(),
  OnBuild: texts,
  Labels: textMap.nullable().default(null),
  StopSignal: z.string().optional(),
  StopTimeout: z.int().optional(),
  Shell: z.array(z.string()).optional(),
};

export const hostConfigSchema = goStruct({
  Binds: texts,
  ContainerIDFile: text,
  LogConfig: goStruct({ Type: text, Config: textMap.default({}) }).prefault({}),
  NetworkMode: text,
  PortBindings: z.record(z.string(), z.unknown()).default({}),
  RestartPolicy: goStruct({ Name: text, MaximumRetryCount: number }).prefault({}),
  AutoRemove: flag,
  VolumeDriver: text,
  VolumesFrom: texts,
  ConsoleSize: z.array(z.number()).default([0, 0]),
  Annotations: textMap.optional(),
  CapAdd: texts,
  CapDrop: texts,
  CgroupnsMode: text,
  Dns: texts,
  DnsOptions: texts,
  DnsSearch: texts,
  ExtraHosts: texts,
  GroupAdd: texts,
  IpcMode: text,
  Cgroup: text,
  Links: texts,
  OomScoreAdj: number,
  PidMode: text,
  Privileged: flag,
  PublishAllPorts: flag,
  ReadonlyRootfs: flag,
  SecurityOpt: texts,
  StorageOpt: textMap.optional(),
  Tmpfs: textMap.optional(),
  UTSMode: text,
  UsernsMode: text,
  ShmSize: number,
  Sysctls: textMap.optional(),
  Runtime: text,
  Isolation: text,
  CpuShares: number,
  Memory: number,
  NanoCpus: number,
  CgroupParent: text,
  BlkioWeight: number,
  BlkioWeightDevice: list,
  BlkioDeviceReadBps: list,
  BlkioDeviceWriteBps: list,
  BlkioDeviceReadIOps: list,
  BlkioDeviceWriteIOps: list,
  CpuPeriod: number,
  CpuQuota: number,
  CpuRealtimePeriod: number,
  CpuRealtimeRuntime: number,
  CpusetCpus: text,
  CpusetMems: text,
  Devices: z.array(goStruct({ PathOnHost: text, PathInContainer: text, CgroupPermissions: text })).nullable().default(null),
  DeviceCgroupRules: texts,
  DeviceRequests: list,
  MemoryReservation: number,
  MemorySwap: number,
  MemorySwappiness: z.number().nullable().default(null),
  OomKillDisable: z.boolean().nullable().default(null),
  Init: z.boolean().optional(),
  PidsLimit: z.number().nullable().default(null),
  Ulimits: ulimitsSchema.nullable().default(null),
  CpuCount: number,
  CpuPercent: number,
  IOMaximumIOps: number,
  IOMaximumBandwidth: number,
  Mounts: z.array(mountSchema).optional(),
  MaskedPaths: texts,
  ReadonlyPaths: texts,
});
export type DockerHostConfig = z.output<typeof hostConfigSchema>;

export const configSchema = goStruct(configShape);
export type DockerConfig = z.output<typeof configSchema>;

export const networkingConfigSchema = goStruct({ EndpointsConfig: z.record(z.string(), z.unknown()).default({}) });

/** Docker sends the configuration flat, with the host's and the networks' parts as members. */
export const createBodySchema = goStruct({ ...configShape, HostConfig: hostConfigSchema.prefault({}), NetworkingConfig: networkingConfigSchema.prefault({}) });
export type CreateBody = z.output<typeof createBodySchema>;
