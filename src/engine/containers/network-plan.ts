/** A container's record -> what is asked of networking. Pure but for the look-up of networks, which the caller gives. */
import { TscomposeError } from "../../errors.ts";
import type { EndpointRequest, PortRequest, SandboxRequest } from "../../network/types.ts";
import type { ContainerConfig, EndpointSettings, HostConfig, PortBinding } from "../types.ts";
import { joinedContainer } from "./create/modes.ts";
import type { ContainerRecord } from "./record.ts";

export type NetworkKind =
  | { readonly kind: "host" }
  | { readonly kind: "none" }
  | { readonly kind: "container"; readonly ref: string }
  | { readonly kind: "sandbox" };

export function networkKind(hostConfig: HostConfig, config: ContainerConfig): NetworkKind {
  const mode = hostConfig.NetworkMode ?? "bridge";
  const ref = joinedContainer(mode);
  if (ref !== undefined) return { kind: "container", ref };
  if (mode === "host") return { kind: "host" };
  if (mode === "none" || config.NetworkDisabled === true) return { kind: "none" };
  return { kind: "sandbox" };
}

/** The networks of a new container: those that were named, else the one of the network mode. Keys are as written. */
export function requestedEndpoints(
  hostConfig: HostConfig,
  config: ContainerConfig,
  asked: Readonly<Record<string, EndpointSettings | null>>,
): Readonly<Record<string, EndpointSettings>> {
  const mode = hostConfig.NetworkMode ?? "bridge";
  if (networkKind(hostConfig, config).kind !== "sandbox") return {};
  const entries = Object.entries(asked).map(([name, settings]): [string, EndpointSettings] => [
    name === "default" ? "bridge" : name,
    inputsOf(settings ?? {}),
  ]);
  const endpoints = new Map(entries.length > 0 ? entries : [[mode, {}] as [string, EndpointSettings]]);
  const main = endpoints.has(mode) ? mode : ([...endpoints.keys()][0] ?? mode);
  if (config.MacAddress && !endpoints.get(main)?.MacAddress) {
    endpoints.set(main, { ...endpoints.get(main), MacAddress: config.MacAddress });
  }
  return Object.fromEntries(endpoints);
}

/** Clients send all fields; only these are wishes. */
export function inputsOf(settings: EndpointSettings): EndpointSettings {
  return {
    IPAMConfig: settings.IPAMConfig ?? null,
    Links: settings.Links ?? null,
    Aliases: settings.Aliases ?? null,
    MacAddress: settings.MacAddress ?? "",
    DriverOpts: settings.DriverOpts ?? null,
    GwPriority: settings.GwPriority ?? 0,
  };
}

export function endpointRequest(networkId: string, settings: EndpointSettings): EndpointRequest {
  return {
    networkId,
    aliases: settings.Aliases ?? [],
    ipv4: settings.IPAMConfig?.IPv4Address || undefined,
    ipv6: settings.IPAMConfig?.IPv6Address || undefined,
    linkLocalIps: settings.IPAMConfig?.LinkLocalIPs ?? [],
    macAddress: settings.MacAddress || undefined,
    gatewayPriority: settings.GwPriority ?? 0,
    driverOptions: settings.DriverOpts ?? {},
  };
}

/** `80/tcp` -> its parts. @throws request/invalid */
export function parsePort(text: string): { readonly port: number; readonly protocol: "tcp" | "udp" | "sctp" } {
  const [, port = "", protocol = "tcp"] = /^(\d{1,5})(?:\/(tcp|udp|sctp))?$/i.exec(text) ?? [];
  const number = Number(port);
  if (port === "" || number < 1 || number > 65_535)
    throw invalid(`invalid port specification: ${JSON.stringify(text)}`);
  return { port: number, protocol: protocol.toLowerCase() as "tcp" | "udp" | "sctp" };
}

/** Annotations that say how ports are published. Not labels: those an image could set. */
export const publishAnnotations = {
  /** Containers with the same value share fixed host ports. */
  group: "io.tscompose.publish.group",
  /** `80/tcp,53/udp`: ports of the container that are not shared. */
  exclusive: "io.tscompose.publish.exclusive",
} as const;
/** `5432/tcp,53/udp`: ports of the host's 127.0.0.1 that answer the container at its gateway. */
const hostAccessAnnotation = "io.tscompose.host-access";

/** @throws request/invalid */
export function hostAccess(hostConfig: HostConfig): NonNullable<SandboxRequest["hostAccess"]> {
  const text = hostConfig.Annotations?.[hostAccessAnnotation] ?? "";
  return text === "" ? [] : text.split(",").map(parsePort);
}

/** @throws request/invalid */
export function portRequests(hostConfig: HostConfig, config: ContainerConfig): readonly PortRequest[] {
  const bindings = hostConfig.PortBindings ?? {};
  const exclusive = new Set((hostConfig.Annotations?.[publishAnnotations.exclusive] ?? "").split(","));
  const requests = Object.entries(bindings).flatMap(([spec, list]) => {
    const { port, protocol } = parsePort(spec);
    const wanted = list === null || list.length === 0 ? [{ HostIp: "", HostPort: "" }] : list;
    const own = exclusive.has(`${port}/${protocol}`) ? { exclusive: true } : {};
    return wanted.map((binding) => ({ containerPort: port, protocol, ...hostSide(binding), ...own }));
  });
  if (hostConfig.PublishAllPorts !== true) return requests;
  const published = new Set(requests.map(({ containerPort, protocol }) => `${containerPort}/${protocol}`));
  const exposed = exposedPorts(config).filter(({ port, protocol }) => !published.has(`${port}/${protocol}`));
  return [
    ...requests,
    ...exposed.map(({ port, protocol }) => ({
      containerPort: port,
      protocol,
      hostIp: "",
      hostPort: 0,
      hostPortEnd: 0,
    })),
  ];
}

export function exposedPorts(
  config: ContainerConfig,
): readonly { readonly port: number; readonly protocol: "tcp" | "udp" | "sctp" }[] {
  return Object.keys(config.ExposedPorts ?? {}).flatMap((spec) => {
    const range = /^(\d+)-(\d+)(\/\w+)?$/.exec(spec);
    if (range === null) return [parsePort(spec)];
    const [first, last] = [Number(range[1]), Number(range[2])];
    const { protocol } = parsePort(`${first}${range[3] ?? ""}`);
    return Array.from({ length: Math.max(0, Math.min(last, 65_535) - first + 1) }, (_, index) => ({
      port: first + index,
      protocol,
    }));
  });
}

function hostSide(binding: PortBinding): {
  readonly hostIp: string;
  readonly hostPort: number;
  readonly hostPortEnd: number;
} {
  const hostIp = binding.HostIp ?? "";
  if (!/^[0-9a-fA-F:.]*$/.test(hostIp)) throw invalid(`invalid IP address: ${hostIp}`);
  const [, first = "0", last = first] = /^(\d{0,5})(?:-(\d{1,5}))?$/.exec(binding.HostPort || "0") ?? [undefined, "x"];
  const [hostPort, hostPortEnd] = [Number(first), Number(last)];
  if (!(hostPort >= 0 && hostPortEnd <= 65_535 && hostPort <= hostPortEnd)) {
    throw invalid(`invalid hostPort: ${binding.HostPort}`);
  }
  return { hostIp, hostPort, hostPortEnd };
}

/** Sysctls of a network namespace that Docker sets. Source: security.md 1.9. */
export const defaultNetworkSysctls: Readonly<Record<string, string>> = {
  "net.ipv4.ping_group_range": "0 2147483647",
  "net.ipv4.ip_unprivileged_port_start": "0",
};

/** Text of /etc/hosts for a container that has no sandbox of its own. */
export function plainHosts(record: ContainerRecord): string {
  const extra = (record.hostConfig.ExtraHosts ?? []).flatMap((entry) => {
    const [, name = "", address = ""] = /^([^:=]+)[:=](.+)$/.exec(entry) ?? [];
    return address === "host-gateway" ? [] : [`${address.replaceAll(/[[\]]/g, "")}\t${name}`];
  });
  const lines = [
    "127.0.0.1\tlocalhost",
    "::1\tlocalhost ip6-localhost ip6-loopback",
    "fe00::\tip6-localnet",
    "ff00::\tip6-mcastprefix",
    "ff02::1\tip6-allnodes",
    "ff02::2\tip6-allrouters",
    ...extra,
  ];
  return `${lines.join("\n")}\n`;
}

function invalid(message: string): TscomposeError {
  return new TscomposeError("request/invalid", message);
}
