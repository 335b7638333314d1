import type { EndpointSettings } from "../../api/wire.ts";
import type { Project, Service } from "../../spec/model.ts";

import { defined, nonEmpty } from "./quantities.ts";

export interface EndpointRequest {
  readonly service: string;
  readonly spec: Service;
  /** Of the container; also its first alias. */
  readonly name: string;
  /** Key of the network. */
  readonly network: string;
  readonly links?: readonly string[] | undefined;
  /** One-off containers do not answer to the service's name unless asked to. */
  readonly aliases?: "all" | "name";
}

/** What a container is on one network. Source: docker/compose `create.go`, createEndpointSettings. */
export function endpointSettings(_project: Project, request: EndpointRequest): EndpointSettings {
  const { spec, network, service, name } = request;
  const config = spec.networks?.[network] ?? undefined;
  const aliases = request.aliases === "name" ? [name] : [name, service, ...(config?.aliases ?? [])];
  const main = networksByPriority(spec)[0] === network;
  const driverOpts = {
    ...config?.driver_opts,
    ...(config?.interface_name === undefined ? {} : { "com.docker.network.endpoint.ifname": config.interface_name }),
  };
  const ipam = defined<NonNullable<EndpointSettings["IPAMConfig"]>>({
    IPv4Address: config?.ipv4_address,
    IPv6Address: config?.ipv6_address,
    LinkLocalIPs: nonEmpty(config?.link_local_ips),
  });
  return defined<EndpointSettings>({
    Aliases: aliases,
    Links: nonEmpty(request.links),
    IPAMConfig: Object.keys(ipam).length === 0 ? undefined : ipam,
    MacAddress: config?.mac_address ?? (main ? spec.mac_address : undefined),
    DriverOpts: Object.keys(driverOpts).length === 0 ? undefined : driverOpts,
    GwPriority: config?.gw_priority,
  } as EndpointSettings);
}

/** Keys of a service's networks, the main one first: by falling priority, then by name. */
export function networksByPriority(spec: Service): readonly string[] {
  return Object.entries(spec.networks ?? {})
    .toSorted(([a, left], [b, right]) => (right?.priority ?? 0) - (left?.priority ?? 0) || (a < b ? -1 : 1))
    .map(([key]) => key);
}

export interface Networking {
  readonly networkMode: string;
  /** By network name; undefined where the mode says it all. */
  readonly endpoints: Readonly<Record<string, EndpointSettings>> | undefined;
}

export function networking(project: Project, request: Omit<EndpointRequest, "network">): Networking {
  const { spec } = request;
  if (spec.network_mode !== undefined) return { networkMode: spec.network_mode, endpoints: undefined };
  const keys = networksByPriority(spec);
  const [main] = keys;
  if (main === undefined) return { networkMode: "none", endpoints: undefined };
  const nameOf = (key: string): string => project.networks[key]?.name ?? key;
  return {
    networkMode: nameOf(main),
    endpoints: Object.fromEntries(
      keys.map((key) => [nameOf(key), endpointSettings(project, { ...request, network: key })]),
    ),
  };
}
