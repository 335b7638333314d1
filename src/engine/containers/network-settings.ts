/** `NetworkSettings` of `inspect` and of lists. Pure but for the look-up of networks. */
import type { EndpointState, SandboxState } from "../../network/types.ts";
import type { EndpointSettings, PortBinding, PortMap, PortSummary } from "../types.ts";
import { exposedPorts, networkKind } from "./network-plan.ts";
import type { ContainerRecord } from "./record.ts";

/** Network id, name and whether it is the predefined bridge; undefined: it is gone. */
export type NetworkLookup = (
  ref: string,
) => { readonly id: string; readonly name: string; readonly predefined: boolean } | undefined;

export function networkSettings(
  record: ContainerRecord,
  lookup: NetworkLookup,
): Readonly<Record<string, EndpointSettings>> {
  const kind = networkKind(record.hostConfig, record.config).kind;
  if (kind === "host" || kind === "none") {
    const network = lookup(kind);
    return { [kind]: endpointSettings({}, { id: network?.id ?? "", names: null }, undefined) };
  }
  const sandbox = record.state.sandbox;
  return Object.fromEntries(
    Object.entries(record.endpoints).map(([ref, settings]) => {
      const network = lookup(ref);
      const state = sandbox?.endpoints.find(({ networkId }) => networkId === network?.id);
      const names = network === undefined || network.predefined ? null : dnsNames(record, settings);
      return [network?.name ?? ref, endpointSettings(settings, { id: network?.id ?? "", names }, state)];
    }),
  );
}

function dnsNames(record: ContainerRecord, settings: EndpointSettings): readonly string[] {
  const hostname = record.config.Hostname ?? "";
  return [...new Set([record.name, ...(settings.Aliases ?? []), record.id.slice(0, 12), hostname])].filter(Boolean);
}

function endpointSettings(
  asked: EndpointSettings,
  network: { readonly id: string; readonly names: readonly string[] | null },
  state: EndpointState | undefined,
): EndpointSettings {
  return {
    IPAMConfig: asked.IPAMConfig ?? null,
    Links: asked.Links ?? null,
    Aliases: asked.Aliases ?? null,
    DriverOpts: asked.DriverOpts ?? null,
    GwPriority: asked.GwPriority ?? 0,
    NetworkID: network.id,
    EndpointID: state?.endpointId ?? "",
    Gateway: state?.ipv4?.gateway ?? "",
    IPAddress: state?.ipv4?.address ?? "",
    MacAddress: state?.macAddress ?? asked.MacAddress ?? "",
    IPPrefixLen: state?.ipv4?.prefixLength ?? 0,
    IPv6Gateway: state?.ipv6?.gateway ?? "",
    GlobalIPv6Address: state?.ipv6?.address ?? "",
    GlobalIPv6PrefixLen: state?.ipv6?.prefixLength ?? 0,
    DNSNames: network.names,
  };
}

/** Bound ports by `port/protocol`; null for exposed ones that are not published. Empty unless it runs. */
export function portMap(record: ContainerRecord): PortMap {
  const { sandbox } = record.state;
  if (sandbox === undefined) return {};
  const ports: Record<string, readonly PortBinding[] | null> = {};
  for (const { port, protocol } of exposedPorts(record.config)) ports[`${port}/${protocol}`] = null;
  for (const bound of sandbox.ports) {
    const key = `${bound.containerPort}/${bound.protocol}`;
    ports[key] = [...(ports[key] ?? []), { HostIp: bound.hostIp, HostPort: String(bound.hostPort) }];
  }
  return ports;
}

export function portSummaries(record: ContainerRecord): readonly PortSummary[] {
  const sandbox: SandboxState | undefined = record.state.sandbox;
  if (sandbox === undefined) return [];
  const bound = sandbox.ports.map((port) => ({
    IP: port.hostIp,
    PrivatePort: port.containerPort,
    PublicPort: port.hostPort,
    Type: port.protocol,
  }));
  const published = new Set(sandbox.ports.map(({ containerPort, protocol }) => `${containerPort}/${protocol}`));
  const only = exposedPorts(record.config)
    .filter(({ port, protocol }) => !published.has(`${port}/${protocol}`))
    .map(({ port, protocol }) => ({ PrivatePort: port, Type: protocol }));
  return [...bound, ...only];
}
