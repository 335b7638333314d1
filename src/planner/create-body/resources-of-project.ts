import type { IpamPool, NetworkCreateBody, NetworkIpam, VolumeCreateBody } from "../../api/wire.ts";
import { networkConfigHash, volumeConfigHash } from "../../spec/config-hash.ts";
import type { Network, Project, Volume } from "../../spec/model.ts";
import { composeVersion, label } from "../labels.ts";

import { defined } from "./quantities.ts";

export function networkCreateBody(project: Project, key: string, network: Network): NetworkCreateBody {
  return defined<NetworkCreateBody>({
    Name: network.name ?? `${project.name}_${key}`,
    Driver: network.driver,
    Internal: network.internal,
    Attachable: network.attachable,
    EnableIPv4: network.enable_ipv4,
    EnableIPv6: network.enable_ipv6,
    IPAM: ipam(network),
    Options: network.driver_opts,
    Labels: {
      ...network.labels,
      [label.project]: project.name,
      [label.network]: key,
      [label.version]: composeVersion,
      [label.configHash]: networkConfigHash(network),
    },
  } as NetworkCreateBody);
}

function ipam({ ipam: { driver, config, options } }: Network): NetworkIpam | undefined {
  if (driver === undefined && config === undefined && options === undefined) return undefined;
  return defined<NetworkIpam>({
    Driver: driver,
    Options: options,
    Config: config?.map((pool) =>
      defined<IpamPool>({
        Subnet: pool.subnet,
        IPRange: pool.ip_range,
        Gateway: pool.gateway,
        AuxiliaryAddresses: pool.aux_addresses,
      } as IpamPool),
    ),
  } as NetworkIpam);
}

export function volumeCreateBody(project: Project, key: string, volume: Volume): VolumeCreateBody {
  return defined<VolumeCreateBody>({
    Name: volume.name ?? `${project.name}_${key}`,
    Driver: volume.driver,
    DriverOpts: volume.driver_opts,
    Labels: {
      ...volume.labels,
      [label.project]: project.name,
      [label.volume]: key,
      [label.version]: composeVersion,
      [label.configHash]: volumeConfigHash(volume),
    },
  } as VolumeCreateBody);
}
