/** What the host already uses: every route, interface address and name server, so that no network is put on top of one. */
import { readFileSync } from "node:fs";
import type { NetlinkSocket } from "../host/netlink.ts";
import { listAddresses, listRoutes } from "../host/rtnetlink-list.ts";
import { addressFromBytes, bitsOf, parseAddress, subnetOf, type Subnet } from "./cidr.ts";
import { parseResolvConf } from "./etc-files.ts";

/** Routes as wide as these stand for "everything": the default route, and the two or four halves a VPN puts over it. */
const widestRoute = 4;

export function readHostSubnets(socket: NetlinkSocket): readonly Subnet[] {
  const routes = listRoutes(socket).flatMap(({ destination, prefixLength }) =>
    destination === undefined || prefixLength < widestRoute
      ? []
      : [subnetOf(addressFromBytes(destination), prefixLength)],
  );
  const addresses = listAddresses(socket).map(({ address, prefixLength }) =>
    subnetOf(addressFromBytes(address), prefixLength),
  );
  const servers = readHostResolver().servers.flatMap((text) => {
    const address = parseAddress(text);
    return address === undefined ? [] : [subnetOf(address, bitsOf(address.family))];
  });
  return [...routes, ...addresses, ...servers];
}

export function readHostResolver(): ReturnType<typeof parseResolvConf> {
  return parseResolvConf(readHostFile("/etc/resolv.conf"));
}

function readHostFile(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return ""; // a host without a resolver: containers still resolve each other
  }
}
