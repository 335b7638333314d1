/** The engine's vocabulary: the shapes of the Docker Engine API (v1.51), which is the seam between the engine and everybody
 *  else, so that no translation layer is needed. `src/api/wire.ts` re-exports them to clients. Types only.
 *  Source: Docker Engine API reference; `docker inspect` of Engine 29. Times are RFC 3339 with nanoseconds unless said. */

export type Labels = Readonly<Record<string, string>>;
/** Engine API filters after parsing: key -> accepted values. Both wire encodings give this. */
export type Filters = ReadonlyMap<string, readonly string[]>;

export interface HealthcheckConfig {
  /** `["NONE"]`, `["CMD", ...argv]` or `["CMD-SHELL", command]`; empty: inherit from the image. */
  readonly Test?: readonly string[];
  /** Nanoseconds; 0 or absent: default or inherited. */
  readonly Interval?: number;
  readonly Timeout?: number;
  readonly Retries?: number;
  readonly StartPeriod?: number;
  readonly StartInterval?: number;
}

/** What does not depend on the host. */
export interface ContainerConfig {
  readonly Hostname?: string;
  readonly Domainname?: string;
  readonly User?: string;
  readonly AttachStdin?: boolean;
  readonly AttachStdout?: boolean;
  readonly AttachStderr?: boolean;
  readonly ExposedPorts?: Readonly<Record<string, object>> | null;
  readonly Tty?: boolean;
  readonly OpenStdin?: boolean;
  readonly StdinOnce?: boolean;
  readonly Env?: readonly string[] | null;
  readonly Cmd?: readonly string[] | null;
  readonly Healthcheck?: HealthcheckConfig;
  readonly ArgsEscaped?: boolean;
  readonly Image?: string;
  readonly Volumes?: Readonly<Record<string, object>> | null;
  readonly WorkingDir?: string;
  readonly Entrypoint?: readonly string[] | null;
  readonly NetworkDisabled?: boolean;
  readonly MacAddress?: string;
  readonly OnBuild?: readonly string[] | null;
  readonly Labels?: Labels | null;
  readonly StopSignal?: string;
  /** Seconds. */
  readonly StopTimeout?: number;
  readonly Shell?: readonly string[] | null;
}

export interface PortBinding {
  readonly HostIp: string;
  /** A port, a range `8000-8010`, or empty for an ephemeral one. */
  readonly HostPort: string;
}
export type PortMap = Readonly<Record<string, readonly PortBinding[] | null>>;

export interface RestartPolicy {
  readonly Name: "" | "no" | "always" | "unless-stopped" | "on-failure";
  readonly MaximumRetryCount?: number;
}

export interface MountRequest {
  readonly Type: "bind" | "volume" | "tmpfs" | "image" | "npipe" | "cluster";
  readonly Source?: string;
  readonly Target: string;
  readonly ReadOnly?: boolean;
  readonly Consistency?: string;
  readonly BindOptions?: {
    readonly Propagation?: string;
    readonly NonRecursive?: boolean;
    readonly CreateMountpoint?: boolean;
    readonly ReadOnlyNonRecursive?: boolean;
    readonly ReadOnlyForceRecursive?: boolean;
  };
  readonly VolumeOptions?: {
    readonly NoCopy?: boolean;
    readonly Labels?: Labels;
    readonly DriverConfig?: { readonly Name?: string; readonly Options?: Readonly<Record<string, string>> };
    readonly Subpath?: string;
  };
  readonly TmpfsOptions?: {
    readonly SizeBytes?: number;
    readonly Mode?: number;
    readonly Options?: readonly string[][];
  };
  readonly ImageOptions?: { readonly Subpath?: string };
}

export interface Ulimit {
  readonly Name: string;
  readonly Soft: number;
  readonly Hard: number;
}
export interface DeviceMapping {
  readonly PathOnHost: string;
  readonly PathInContainer: string;
  readonly CgroupPermissions: string;
}
export interface DeviceRequest {
  readonly Driver?: string;
  readonly Count?: number;
  readonly DeviceIDs?: readonly string[] | null;
  readonly Capabilities?: readonly (readonly string[])[] | null;
  readonly Options?: Readonly<Record<string, string>> | null;
}
export interface WeightDevice {
  readonly Path: string;
  readonly Weight: number;
}
export interface ThrottleDevice {
  readonly Path: string;
  readonly Rate: number;
}

/** The limits, which `update` may change on a running container. Bytes, nanoseconds or microseconds as named by Docker. */
export interface Resources {
  readonly CpuShares?: number;
  readonly Memory?: number;
  readonly NanoCpus?: number;
  readonly CgroupParent?: string;
  readonly BlkioWeight?: number;
  readonly BlkioWeightDevice?: readonly WeightDevice[] | null;
  readonly BlkioDeviceReadBps?: readonly ThrottleDevice[] | null;
  readonly BlkioDeviceWriteBps?: readonly ThrottleDevice[] | null;
  readonly BlkioDeviceReadIOps?: readonly ThrottleDevice[] | null;
  readonly BlkioDeviceWriteIOps?: readonly ThrottleDevice[] | null;
  readonly CpuPeriod?: number;
  readonly CpuQuota?: number;
  readonly CpuRealtimePeriod?: number;
  readonly CpuRealtimeRuntime?: number;
  readonly CpusetCpus?: string;
  readonly CpusetMems?: string;
  readonly Devices?: readonly DeviceMapping[] | null;
  readonly DeviceCgroupRules?: readonly string[] | null;
  readonly DeviceRequests?: readonly DeviceRequest[] | null;
  readonly MemoryReservation?: number;
  readonly MemorySwap?: number;
  readonly MemorySwappiness?: number | null;
  readonly OomKillDisable?: boolean | null;
  readonly PidsLimit?: number | null;
  readonly Ulimits?: readonly Ulimit[] | null;
  readonly CpuCount?: number;
  readonly CpuPercent?: number;
  readonly IOMaximumIOps?: number;
  readonly IOMaximumBandwidth?: number;
  /** Gone from Docker's API; older clients send 0. */
  readonly KernelMemory?: number;
  readonly KernelMemoryTCP?: number;
}

export interface LogConfig {
  readonly Type: string;
  readonly Config?: Readonly<Record<string, string>> | null;
}

/** What depends on the host. */
export interface HostConfig extends Resources {
  readonly Binds?: readonly string[] | null;
  readonly ContainerIDFile?: string;
  readonly LogConfig?: LogConfig;
  readonly NetworkMode?: string;
  readonly PortBindings?: PortMap | null;
  readonly RestartPolicy?: RestartPolicy;
  readonly AutoRemove?: boolean;
  readonly VolumeDriver?: string;
  readonly VolumesFrom?: readonly string[] | null;
  readonly ConsoleSize?: readonly [number, number];
  readonly Annotations?: Labels | null;
  readonly CapAdd?: readonly string[] | null;
  readonly CapDrop?: readonly string[] | null;
  readonly CgroupnsMode?: string;
  readonly Dns?: readonly string[] | null;
  readonly DnsOptions?: readonly string[] | null;
  readonly DnsSearch?: readonly string[] | null;
  readonly ExtraHosts?: readonly string[] | null;
  readonly GroupAdd?: readonly string[] | null;
  readonly IpcMode?: string;
  readonly Cgroup?: string;
  readonly Links?: readonly string[] | null;
  readonly OomScoreAdj?: number;
  readonly PidMode?: string;
  readonly Privileged?: boolean;
  readonly PublishAllPorts?: boolean;
  readonly ReadonlyRootfs?: boolean;
  readonly SecurityOpt?: readonly string[] | null;
  readonly StorageOpt?: Readonly<Record<string, string>> | null;
  readonly Tmpfs?: Readonly<Record<string, string>> | null;
  readonly UTSMode?: string;
  readonly UsernsMode?: string;
  readonly ShmSize?: number;
  readonly Sysctls?: Readonly<Record<string, string>> | null;
  readonly Runtime?: string;
  readonly Isolation?: string;
  readonly Mounts?: readonly MountRequest[] | null;
  readonly MaskedPaths?: readonly string[] | null;
  readonly ReadonlyPaths?: readonly string[] | null;
  readonly Init?: boolean | null;
}

export interface EndpointIpamConfig {
  readonly IPv4Address?: string;
  readonly IPv6Address?: string;
  readonly LinkLocalIPs?: readonly string[];
}

/** As a request only IPAMConfig, Links, Aliases, MacAddress, DriverOpts and GwPriority count (engine-api.md section 7). */
export interface EndpointSettings {
  readonly IPAMConfig?: EndpointIpamConfig | null;
  readonly Links?: readonly string[] | null;
  readonly Aliases?: readonly string[] | null;
  readonly MacAddress?: string;
  readonly DriverOpts?: Readonly<Record<string, string>> | null;
  readonly GwPriority?: number;
  readonly NetworkID?: string;
  readonly EndpointID?: string;
  readonly Gateway?: string;
  readonly IPAddress?: string;
  readonly IPPrefixLen?: number;
  readonly IPv6Gateway?: string;
  readonly GlobalIPv6Address?: string;
  readonly GlobalIPv6PrefixLen?: number;
  readonly DNSNames?: readonly string[] | null;
}

export interface ContainerCreateBody extends ContainerConfig {
  readonly HostConfig?: HostConfig;
  readonly NetworkingConfig?: { readonly EndpointsConfig?: Readonly<Record<string, EndpointSettings | null>> | null };
}
export interface ContainerCreateResult {
  readonly Id: string;
  readonly Warnings: readonly string[];
}

export type ContainerStatus = "created" | "running" | "paused" | "restarting" | "removing" | "exited" | "dead";
export type HealthStatus = "none" | "starting" | "healthy" | "unhealthy";

export interface HealthLogEntry {
  readonly Start: string;
  readonly End: string;
  readonly ExitCode: number;
  readonly Output: string;
}
export interface HealthState {
  readonly Status: HealthStatus;
  readonly FailingStreak: number;
  readonly Log: readonly HealthLogEntry[];
}
export interface ContainerState {
  readonly Status: ContainerStatus;
  readonly Running: boolean;
  readonly Paused: boolean;
  readonly Restarting: boolean;
  readonly OOMKilled: boolean;
  readonly Dead: boolean;
  readonly Pid: number;
  readonly ExitCode: number;
  readonly Error: string;
  /** "0001-01-01T00:00:00Z": never. */
  readonly StartedAt: string;
  readonly FinishedAt: string;
  readonly Health?: HealthState;
}

export interface MountPoint {
  readonly Type: "bind" | "volume" | "tmpfs" | "image";
  readonly Name?: string;
  readonly Source: string;
  readonly Destination: string;
  readonly Driver?: string;
  readonly Mode: string;
  readonly RW: boolean;
  readonly Propagation: string;
}

export interface ContainerInspect {
  readonly Id: string;
  readonly Created: string;
  readonly Path: string;
  readonly Args: readonly string[];
  readonly State: ContainerState;
  readonly Image: string;
  readonly ResolvConfPath: string;
  readonly HostnamePath: string;
  readonly HostsPath: string;
  readonly LogPath: string;
  readonly Name: string;
  readonly RestartCount: number;
  readonly Driver: string;
  readonly Platform: string;
  readonly MountLabel: string;
  readonly ProcessLabel: string;
  readonly AppArmorProfile: string;
  readonly ExecIDs: readonly string[] | null;
  readonly HostConfig: HostConfig;
  readonly GraphDriver: { readonly Name: string; readonly Data: Readonly<Record<string, string>> };
  readonly SizeRw?: number;
  readonly SizeRootFs?: number;
  readonly Mounts: readonly MountPoint[];
  readonly Config: ContainerConfig;
  readonly NetworkSettings: {
    readonly Bridge: string;
    readonly SandboxID: string;
    readonly SandboxKey: string;
    readonly Ports: PortMap;
    readonly Networks: Readonly<Record<string, EndpointSettings>>;
  };
}

export interface PortSummary {
  readonly IP?: string;
  readonly PrivatePort: number;
  readonly PublicPort?: number;
  readonly Type: string;
}
export interface ContainerSummary {
  readonly Id: string;
  /** `["/name"]`. */
  readonly Names: readonly string[];
  readonly Image: string;
  readonly ImageID: string;
  readonly Command: string;
  /** Unix seconds. */
  readonly Created: number;
  readonly Ports: readonly PortSummary[];
  readonly SizeRw?: number;
  readonly SizeRootFs?: number;
  readonly Labels: Labels;
  readonly State: ContainerStatus;
  /** `Up 2 seconds (healthy)`: printed as it is by clients. */
  readonly Status: string;
  readonly HostConfig: { readonly NetworkMode: string };
  readonly NetworkSettings: { readonly Networks: Readonly<Record<string, EndpointSettings>> };
  readonly Mounts: readonly MountPoint[];
  readonly Health?: { readonly Status: HealthStatus; readonly FailingStreak: number };
}

export interface ExecConfig {
  readonly AttachStdin?: boolean;
  readonly AttachStdout?: boolean;
  readonly AttachStderr?: boolean;
  readonly DetachKeys?: string;
  readonly Tty?: boolean;
  readonly Env?: readonly string[] | null;
  readonly Cmd?: readonly string[] | null;
  readonly Privileged?: boolean;
  readonly User?: string;
  readonly WorkingDir?: string;
  /** [height, width] in characters. */
  readonly ConsoleSize?: readonly [number, number] | null;
}
export interface ExecInspect {
  readonly ID: string;
  readonly Running: boolean;
  readonly ExitCode: number | null;
  readonly ProcessConfig: {
    readonly tty: boolean;
    readonly entrypoint: string;
    readonly arguments: readonly string[];
    readonly privileged: boolean;
    readonly user: string;
  };
  readonly OpenStdin: boolean;
  readonly OpenStderr: boolean;
  readonly OpenStdout: boolean;
  readonly CanRemove: boolean;
  readonly ContainerID: string;
  readonly DetachKeys: string;
  readonly Pid: number;
}

/** OCI image configuration as stored. Source: OCI image-spec config.md; Docker adds Healthcheck, OnBuild, Shell. */
export interface OciImageConfig {
  readonly created?: string;
  readonly author?: string;
  readonly architecture: string;
  readonly variant?: string;
  readonly os: string;
  readonly config?: ContainerConfig;
  readonly rootfs: { readonly type: "layers"; readonly diff_ids: readonly string[] };
  readonly history?: readonly OciHistory[];
}
export interface OciHistory {
  readonly created?: string;
  readonly created_by?: string;
  readonly author?: string;
  readonly comment?: string;
  readonly empty_layer?: boolean;
}
export interface ImageSummary {
  readonly Id: string;
  readonly ParentId: string;
  readonly RepoTags: readonly string[];
  readonly RepoDigests: readonly string[];
  /** Unix seconds. */
  readonly Created: number;
  readonly Size: number;
  readonly SharedSize: number;
  readonly Labels: Labels | null;
  readonly Containers: number;
  /** When asked for. */
  readonly Manifests?: readonly ImageManifestSummary[];
}
/** One platform of an image, as Docker's containerd store lists them. */
export interface ImageManifestSummary {
  readonly ID: string;
  readonly Descriptor: {
    readonly mediaType: string;
    readonly digest: string;
    readonly size: number;
    readonly platform: ImagePlatform;
  };
  readonly Available: true;
  /** Bytes: of what is stored packed, and with what is unpacked. */
  readonly Size: { readonly Content: number; readonly Total: number };
  readonly Kind: "image";
  readonly ImageData: {
    readonly Platform: ImagePlatform;
    readonly Size: { readonly Unpacked: number };
    readonly Containers: readonly string[];
  };
}
export interface ImagePlatform {
  readonly architecture: string;
  readonly os: string;
  readonly variant?: string;
}
export interface ImageInspect {
  readonly Id: string;
  readonly RepoTags: readonly string[];
  readonly RepoDigests: readonly string[];
  readonly Parent: string;
  readonly Comment: string;
  readonly Created: string;
  readonly Author: string;
  readonly Config: ContainerConfig;
  readonly Architecture: string;
  readonly Variant?: string;
  readonly Os: string;
  readonly Size: number;
  readonly GraphDriver: { readonly Name: string; readonly Data: Readonly<Record<string, string>> };
  readonly RootFS: { readonly Type: "layers"; readonly Layers: readonly string[] };
  readonly Metadata: { readonly LastTagTime: string };
  /** When asked for. */
  readonly Manifests?: readonly ImageManifestSummary[];
}
export interface ImageDeleteItem {
  readonly Untagged?: string;
  readonly Deleted?: string;
}
export interface ImageHistoryItem {
  readonly Id: string;
  readonly Created: number;
  readonly CreatedBy: string;
  readonly Tags: readonly string[] | null;
  readonly Size: number;
  readonly Comment: string;
}
/** One JSON object a line of pull, push, load, import and build (engine-api.md 5.3). */
export interface ProgressMessage {
  readonly status?: string;
  readonly id?: string;
  readonly progressDetail?: { readonly current?: number; readonly total?: number };
  readonly progress?: string;
  readonly stream?: string;
  readonly aux?: unknown;
  readonly error?: string;
  /** `hint` is ours: what to do. */
  readonly errorDetail?: { readonly code?: number; readonly message: string; readonly hint?: string };
}
/** What `X-Registry-Auth` holds. */
export interface RegistryCredentials {
  readonly username?: string;
  readonly password?: string;
  readonly identitytoken?: string;
  readonly registrytoken?: string;
  readonly serveraddress?: string;
}

export interface IpamPool {
  readonly Subnet?: string;
  readonly IPRange?: string;
  readonly Gateway?: string;
  readonly AuxiliaryAddresses?: Readonly<Record<string, string>>;
}
export interface NetworkIpam {
  readonly Driver?: string;
  readonly Options?: Readonly<Record<string, string>> | null;
  readonly Config?: readonly IpamPool[] | null;
}
export interface NetworkCreateBody {
  readonly Name: string;
  readonly Driver?: string;
  readonly Scope?: string;
  readonly Internal?: boolean;
  readonly Attachable?: boolean;
  readonly Ingress?: boolean;
  readonly ConfigOnly?: boolean;
  readonly ConfigFrom?: { readonly Network: string } | null;
  readonly EnableIPv4?: boolean | null;
  readonly EnableIPv6?: boolean | null;
  readonly IPAM?: NetworkIpam | null;
  readonly Options?: Readonly<Record<string, string>> | null;
  readonly Labels?: Labels | null;
}
export interface NetworkInspect {
  readonly Name: string;
  readonly Id: string;
  readonly Created: string;
  readonly Scope: "local";
  readonly Driver: string;
  readonly EnableIPv4: boolean;
  readonly EnableIPv6: boolean;
  readonly IPAM: {
    readonly Driver: string;
    readonly Options: Readonly<Record<string, string>> | null;
    readonly Config: readonly IpamPool[];
  };
  readonly Internal: boolean;
  readonly Attachable: boolean;
  readonly Ingress: boolean;
  readonly ConfigFrom: { readonly Network: string };
  readonly ConfigOnly: boolean;
  /** Container id -> endpoint; empty in lists. */
  readonly Containers: Readonly<
    Record<
      string,
      {
        readonly Name: string;
        readonly EndpointID: string;
        readonly MacAddress: string;
        readonly IPv4Address: string;
        readonly IPv6Address: string;
      }
    >
  >;
  readonly Options: Readonly<Record<string, string>>;
  readonly Labels: Labels;
  /** Ours, in lists only: subnets that the host reaches otherwise (a VPN's, say) and that overlap this network's. */
  readonly Overlaps?: readonly string[];
}

export interface VolumeCreateBody {
  readonly Name?: string;
  readonly Driver?: string;
  readonly DriverOpts?: Readonly<Record<string, string>> | null;
  readonly Labels?: Labels | null;
}
export interface VolumeInspect {
  readonly CreatedAt: string;
  readonly Driver: string;
  readonly Labels: Labels | null;
  readonly Mountpoint: string;
  readonly Name: string;
  readonly Options: Readonly<Record<string, string>> | null;
  readonly Scope: "local";
  readonly UsageData?: { readonly Size: number; readonly RefCount: number };
}

export interface EventMessage {
  readonly status?: string;
  readonly id?: string;
  readonly from?: string;
  readonly Type: "container" | "image" | "network" | "volume" | "builder" | "daemon";
  readonly Action: string;
  readonly Actor: { readonly ID: string; readonly Attributes: Readonly<Record<string, string>> };
  readonly scope: "local";
  /** Unix seconds. */
  readonly time: number;
  /** Unix nanoseconds; above 2^53, so it is written as an integer from a bigint by the API and kept as a decimal string here. */
  readonly timeNano: string;
}

/** An extension of ours: traffic between containers that somebody has cut on purpose, to see how software takes it. */
export interface NetworkFaultBody {
  /** `partition`: nothing passes between the two sides. `cut`: nothing passes to or from the one side. */
  readonly Kind: "partition" | "cut";
  /** Two sides of a partition, one of a cut. */
  readonly Sides: readonly FaultSide[];
  readonly Labels?: Labels | null;
}
/** All containers that bear these labels, now or later. At least one label. */
export interface FaultSide {
  /** For people. */
  readonly Name: string;
  readonly Labels: Labels;
}
export interface NetworkFault extends NetworkFaultBody {
  /** 12 hex digits. */
  readonly Id: string;
  /** RFC 3339. */
  readonly Created: string;
  readonly Labels: Labels;
  /** Names of the containers that it separates now, in the order of the sides. */
  readonly Containers: readonly (readonly string[])[];
  /** What it cannot do. */
  readonly Warnings: readonly string[];
}
