/** What the engine asks of networking. In: networks and sandboxes as plain data. Out: addresses, bound ports, files for /etc.
 *  Knows container ids and names, no images, no Compose. Types only. */
import type { Poller } from "../host/poller.ts";
import type { NetworkCreateBody, NetworkFault, NetworkFaultBody, NetworkInspect } from "../engine/types.ts";

/** One container's membership in one network, as asked for. */
export interface EndpointRequest {
  readonly networkId: string;
  /** Names it answers to in this network beside its container name and short id. */
  readonly aliases: readonly string[];
  readonly ipv4: string | undefined;
  readonly ipv6: string | undefined;
  readonly linkLocalIps: readonly string[];
  readonly macAddress: string | undefined;
  /** Highest wins the default route; ties: by network name. */
  readonly gatewayPriority: number;
  readonly driverOptions: Readonly<Record<string, string>>;
}

/** What an endpoint got. Persisted in the container's record, so that a restart keeps its address where possible. */
export interface EndpointState {
  readonly networkId: string;
  readonly networkName: string;
  readonly endpointId: string;
  readonly interfaceName: string;
  readonly macAddress: string;
  readonly ipv4: { readonly address: string; readonly prefixLength: number; readonly gateway: string } | undefined;
  readonly ipv6: { readonly address: string; readonly prefixLength: number; readonly gateway: string } | undefined;
}

export interface PortRequest {
  readonly containerPort: number;
  readonly protocol: "tcp" | "udp" | "sctp";
  /** Empty: every address, v4 and v6. */
  readonly hostIp: string;
  /** First of the range to try; 0: any ephemeral port. */
  readonly hostPort: number;
  /** Last of the range; equal to `hostPort` for one port. */
  readonly hostPortEnd: number;
  /** Not shared with others of the container's group. */
  readonly exclusive?: boolean;
}
export interface BoundPort {
  readonly containerPort: number;
  readonly protocol: "tcp" | "udp" | "sctp";
  readonly hostIp: string;
  readonly hostPort: number;
}

export interface SandboxRequest {
  readonly containerId: string;
  /** Without a slash. */
  readonly containerName: string;
  readonly hostname: string;
  /** An open descriptor of the container's network namespace. The callee may dup it, not close it. */
  readonly netnsFd: number;
  readonly endpoints: readonly EndpointRequest[];
  /** Endpoints of an earlier run: their addresses are taken again if free. */
  readonly previous: readonly EndpointState[];
  readonly ports: readonly PortRequest[];
  /** Containers of one group that ask for the same fixed host port share it: clients are dealt out among them. */
  readonly publishGroup?: string | undefined;
  /** Ports of the host's 127.0.0.1 that answer the container at its gateway, `host.docker.internal`. */
  readonly hostAccess?: readonly { readonly port: number; readonly protocol: PortRequest["protocol"] }[];
  /** What network faults choose containers by. */
  readonly labels?: Readonly<Record<string, string>>;
  readonly dns: {
    readonly servers: readonly string[];
    readonly search: readonly string[];
    readonly options: readonly string[];
  };
  /** `name:ip` with `host-gateway` allowed as ip. */
  readonly extraHosts: readonly string[];
  /** Sysctls of the network namespace (`net.*`), set before interfaces come up. */
  readonly sysctls: Readonly<Record<string, string>>;
}

export interface SandboxState {
  readonly containerId: string;
  readonly endpoints: readonly EndpointState[];
  readonly ports: readonly BoundPort[];
  /** Texts for the container's /etc. */
  readonly hostsFile: string;
  readonly resolvConf: string;
}

/** Networks and sandboxes of one engine. One instance a process. */
export interface Networking {
  // networks
  create(body: NetworkCreateBody): Promise<{ readonly Id: string; readonly Warning: string }>;
  /** By id, name or unique id prefix. `Containers` is filled from live sandboxes. @throws network/not-found */
  inspect(ref: string): NetworkInspect;
  list(): readonly NetworkInspect[];
  /** @throws network/in-use while a sandbox has an endpoint in it. */
  remove(ref: string): Promise<void>;
  /** Partitions and cuts, which outlive the engine. */
  readonly faults: {
    list(): readonly NetworkFault[];
    /** @throws network/invalid, network/name-in-use when it is in force already */
    create(body: NetworkFaultBody): Promise<NetworkFault>;
    /** @throws network/not-found */
    remove(id: string): Promise<NetworkFault>;
    /** What a container suffers: `cut off`, `partitioned from db`. */
    of(containerId: string): readonly string[];
  };
  // sandboxes
  /** Interfaces, addresses, routes, DNS, published ports, all or nothing.
   *  @throws port/in-use, network/not-found, network/address-in-use, network/pool-exhausted */
  setupSandbox(request: SandboxRequest): Promise<SandboxState>;
  /** Takes over a sandbox whose container survived an engine restart: DNS is served again, rules and ports are checked and repaired. */
  adoptSandbox(request: SandboxRequest, state: SandboxState): Promise<void>;
  /** Rules, ports, DNS, addresses, links. Everything is tried, "already gone" is success. Idempotent. */
  teardownSandbox(containerId: string): Promise<void>;
  connect(containerId: string, endpoint: EndpointRequest): Promise<EndpointState>;
  disconnect(containerId: string, networkId: string): Promise<void>;
  /** The container got another name: DNS follows. */
  rename(containerId: string, name: string): void;
  /** Unhealthy members leave the rotation of their shared names while a healthy one exists. */
  setHealthy(containerId: string, healthy: boolean): void;
  /** Loads the networks' records, makes what the kernel lacks, and removes what belongs to no record and no adopted sandbox.
   *  Call `adoptSandbox` for every survivor first. */
  reconcile(): Promise<void>;
  close(): Promise<void>;
}

export interface NetworkingOptions {
  /** Directory for records; made with mode 0700. */
  readonly dataDir: string;
  /** Short text that is unique to the run root of this engine: part of link and chain names, so that engines live side by side. */
  readonly tag: string;
  /** CIDR pools to take subnets from, and the prefix length of each subnet. */
  readonly pools: readonly { readonly base: string; readonly size: number }[] | undefined;
  /** Host addresses that ports are published on where neither the request nor the network names one; undefined: every address. */
  readonly publishAddresses?: readonly string[] | undefined;
  readonly log: (level: "info" | "warn" | "error", message: string) => void;
  /** To wait for notices of the kernel with; absent: one is made, which takes a thread of libuv's pool. */
  readonly poller?: Poller;
}
