/** The shapes of request bodies. Pure data; each follows its type in engine/types.ts key by key. */
import type {
  ContainerCreateBody,
  ContainerConfig,
  DeviceMapping,
  DeviceRequest,
  EndpointIpamConfig,
  EndpointSettings,
  ExecConfig,
  HealthcheckConfig,
  HostConfig,
  IpamPool,
  LogConfig,
  MountRequest,
  FaultSide,
  NetworkCreateBody,
  NetworkFaultBody,
  NetworkIpam,
  PortBinding,
  RegistryCredentials,
  Resources,
  RestartPolicy,
  ThrottleDevice,
  Ulimit,
  VolumeCreateBody,
  WeightDevice,
} from "./wire.ts";
import { anything, boolean, integer, list, map, object, string, words } from "./shape.ts";
import type { Shape } from "./shape.ts";

const strings = list(string);
const labels = map(string);
const throttle = list(object<ThrottleDevice>({ Path: string, Rate: integer }));

const healthcheck = object<HealthcheckConfig>({
  Test: strings,
  Interval: integer,
  Timeout: integer,
  Retries: integer,
  StartPeriod: integer,
  StartInterval: integer,
});

type Fields<T> = Record<keyof T & string, Shape>;

const containerConfig: Fields<ContainerConfig> = {
  Hostname: string,
  Domainname: string,
  User: string,
  AttachStdin: boolean,
  AttachStdout: boolean,
  AttachStderr: boolean,
  ExposedPorts: map(anything),
  Tty: boolean,
  OpenStdin: boolean,
  StdinOnce: boolean,
  Env: strings,
  Cmd: words,
  Healthcheck: healthcheck,
  ArgsEscaped: boolean,
  Image: string,
  Volumes: map(anything),
  WorkingDir: string,
  Entrypoint: words,
  NetworkDisabled: boolean,
  MacAddress: string,
  OnBuild: strings,
  Labels: labels,
  StopSignal: string,
  StopTimeout: integer,
  Shell: words,
};

const restartPolicy = object<RestartPolicy>({ Name: string, MaximumRetryCount: integer });

const resources: Fields<Resources> = {
  CpuShares: integer,
  Memory: integer,
  NanoCpus: integer,
  CgroupParent: string,
  BlkioWeight: integer,
  BlkioWeightDevice: list(object<WeightDevice>({ Path: string, Weight: integer })),
  BlkioDeviceReadBps: throttle,
  BlkioDeviceWriteBps: throttle,
  BlkioDeviceReadIOps: throttle,
  BlkioDeviceWriteIOps: throttle,
  CpuPeriod: integer,
  CpuQuota: integer,
  CpuRealtimePeriod: integer,
  CpuRealtimeRuntime: integer,
  CpusetCpus: string,
  CpusetMems: string,
  Devices: list(object<DeviceMapping>({ PathOnHost: string, PathInContainer: string, CgroupPermissions: string })),
  DeviceCgroupRules: strings,
  DeviceRequests: list(
    object<DeviceRequest>({
      Driver: string,
      Count: integer,
      DeviceIDs: strings,
      Capabilities: list(strings),
      Options: labels,
    }),
  ),
  MemoryReservation: integer,
  MemorySwap: integer,
  MemorySwappiness: integer,
  OomKillDisable: boolean,
  PidsLimit: integer,
  Ulimits: list(object<Ulimit>({ Name: string, Soft: integer, Hard: integer })),
  CpuCount: integer,
  CpuPercent: integer,
  IOMaximumIOps: integer,
  IOMaximumBandwidth: integer,
  KernelMemory: integer,
  KernelMemoryTCP: integer,
};

const mount = object<MountRequest>({
  Type: string,
  Source: string,
  Target: string,
  ReadOnly: boolean,
  Consistency: string,
  BindOptions: object<NonNullable<MountRequest["BindOptions"]>>({
    Propagation: string,
    NonRecursive: boolean,
    CreateMountpoint: boolean,
    ReadOnlyNonRecursive: boolean,
    ReadOnlyForceRecursive: boolean,
  }),
  VolumeOptions: object<NonNullable<MountRequest["VolumeOptions"]>>({
    NoCopy: boolean,
    Labels: labels,
    DriverConfig: object<{ Name: string; Options: object }>({ Name: string, Options: labels }),
    Subpath: string,
  }),
  TmpfsOptions: object<NonNullable<MountRequest["TmpfsOptions"]>>({
    SizeBytes: integer,
    Mode: integer,
    Options: list(strings),
  }),
  ImageOptions: object<NonNullable<MountRequest["ImageOptions"]>>({ Subpath: string }),
});

const hostConfig: Fields<HostConfig> = {
  ...resources,
  Binds: strings,
  ContainerIDFile: string,
  LogConfig: object<LogConfig>({ Type: string, Config: labels }),
  NetworkMode: string,
  PortBindings: map(list(object<PortBinding>({ HostIp: string, HostPort: string }))),
  RestartPolicy: restartPolicy,
  AutoRemove: boolean,
  VolumeDriver: string,
  VolumesFrom: strings,
  ConsoleSize: list(integer),
  Annotations: labels,
  CapAdd: words,
  CapDrop: words,
  CgroupnsMode: string,
  Dns: strings,
  DnsOptions: strings,
  DnsSearch: strings,
  ExtraHosts: strings,
  GroupAdd: strings,
  IpcMode: string,
  Cgroup: string,
  Links: strings,
  OomScoreAdj: integer,
  PidMode: string,
  Privileged: boolean,
  PublishAllPorts: boolean,
  ReadonlyRootfs: boolean,
  SecurityOpt: strings,
  StorageOpt: labels,
  Tmpfs: labels,
  UTSMode: string,
  UsernsMode: string,
  ShmSize: integer,
  Sysctls: labels,
  Runtime: string,
  Isolation: string,
  Mounts: list(mount),
  MaskedPaths: strings,
  ReadonlyPaths: strings,
  Init: boolean,
};

const endpoint = object<EndpointSettings>({
  IPAMConfig: object<EndpointIpamConfig>({ IPv4Address: string, IPv6Address: string, LinkLocalIPs: strings }),
  Links: strings,
  Aliases: strings,
  MacAddress: string,
  DriverOpts: labels,
  GwPriority: integer,
  NetworkID: string,
  EndpointID: string,
  Gateway: string,
  IPAddress: string,
  IPPrefixLen: integer,
  IPv6Gateway: string,
  GlobalIPv6Address: string,
  GlobalIPv6PrefixLen: integer,
  DNSNames: strings,
});

export const containerCreateBody = object<ContainerCreateBody>({
  ...containerConfig,
  HostConfig: object<HostConfig>(hostConfig),
  NetworkingConfig: object<{ EndpointsConfig: object }>({ EndpointsConfig: map(endpoint) }),
});

export const commitBody = object<ContainerConfig>(containerConfig);

export const containerUpdateBody = object<Resources & { RestartPolicy: RestartPolicy }>({
  ...resources,
  RestartPolicy: restartPolicy,
});

export const execCreateBody = object<ExecConfig>({
  AttachStdin: boolean,
  AttachStdout: boolean,
  AttachStderr: boolean,
  DetachKeys: string,
  Tty: boolean,
  Env: strings,
  Cmd: words,
  Privileged: boolean,
  User: string,
  WorkingDir: string,
  ConsoleSize: list(integer),
});

export interface ExecStartBody {
  readonly Detach?: boolean;
  readonly Tty?: boolean;
  readonly ConsoleSize?: readonly number[];
}
export const execStartBody = object<ExecStartBody>({ Detach: boolean, Tty: boolean, ConsoleSize: list(integer) });

export const networkCreateBody = object<NetworkCreateBody>({
  Name: string,
  Driver: string,
  Scope: string,
  Internal: boolean,
  Attachable: boolean,
  Ingress: boolean,
  ConfigOnly: boolean,
  ConfigFrom: object<{ Network: string }>({ Network: string }),
  EnableIPv4: boolean,
  EnableIPv6: boolean,
  IPAM: object<NetworkIpam>({
    Driver: string,
    Options: labels,
    Config: list(object<IpamPool>({ Subnet: string, IPRange: string, Gateway: string, AuxiliaryAddresses: labels })),
  }),
  Options: labels,
  Labels: labels,
});

export const networkFaultBody = object<NetworkFaultBody>({
  Kind: string,
  Sides: list(object<FaultSide>({ Name: string, Labels: labels })),
  Labels: labels,
});

export interface NetworkConnectBody {
  readonly Container?: string;
  readonly EndpointConfig?: EndpointSettings;
}
export const networkConnectBody = object<NetworkConnectBody>({ Container: string, EndpointConfig: endpoint });

export interface NetworkDisconnectBody {
  readonly Container?: string;
  readonly Force?: boolean;
}
export const networkDisconnectBody = object<NetworkDisconnectBody>({ Container: string, Force: boolean });

export const volumeCreateBody = object<VolumeCreateBody>({
  Name: string,
  Driver: string,
  DriverOpts: labels,
  Labels: labels,
});

export const registryCredentials = object<RegistryCredentials>({
  username: string,
  password: string,
  identitytoken: string,
  registrytoken: string,
  serveraddress: string,
});
