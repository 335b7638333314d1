/** The container's end of a macvlan or ipvlan network: a child of the parent interface, born inside the container's namespace.
 *  Source: linux/if_link.h; ip-link(8). */
import { TscomposeError } from "../errors.ts";
import { u16Attribute, u32Attribute, type NetlinkSocket } from "../host/netlink.ts";
import { createChild } from "../host/rtnetlink.ts";
import type { ContainerInterface } from "./container-links.ts";
import type { NetworkRecord } from "./network-record.ts";

const macvlanModes: Readonly<Record<string, number>> = { private: 1, vepa: 2, bridge: 4, passthru: 8 };
const ipvlanModes: Readonly<Record<string, number>> = { l2: 0, l3: 1, l3s: 2 };
const ipvlanFlags: Readonly<Record<string, number>> = { bridge: 0, private: 1, vepa: 2 };
const IFLA_MODE = 1;
const IFLA_IPVLAN_FLAGS = 2;

/** Up and addresses come later. @throws host/syscall-failed, network/invalid for a mode that does not exist */
export function createChildLink(
  host: NetlinkSocket,
  netns: number,
  child: { readonly record: NetworkRecord; readonly link: ContainerInterface; readonly parent: number },
): void {
  const { record, link, parent } = child;
  const kind = record.driver === "ipvlan" ? "ipvlan" : "macvlan";
  const common = { kind, name: link.name, parent, netnsFd: netns, up: false, data: modeOf(record) } as const;
  // Children of ipvlan share the address of their parent.
  host.execute([createChild(kind === "ipvlan" ? common : { ...common, mac: link.mac })]);
}

/** @throws network/invalid */
export function modeOf(record: Pick<NetworkRecord, "driver" | "options" | "name">): readonly Buffer[] {
  const pick = (table: Readonly<Record<string, number>>, key: string, fallback: string): number => {
    const value = record.options[key] ?? fallback;
    const found = Object.hasOwn(table, value) ? table[value] : undefined;
    if (found !== undefined) return found;
    throw new TscomposeError("network/invalid", `invalid value for option ${key}: "${value}"`, {
      details: { network: record.name },
      hint: `use one of ${Object.keys(table).join(", ")}`,
    });
  };
  if (record.driver !== "ipvlan") return [u32Attribute(IFLA_MODE, pick(macvlanModes, "macvlan_mode", "bridge"))];
  return [
    u16Attribute(IFLA_MODE, pick(ipvlanModes, "ipvlan_mode", "l2")),
    u16Attribute(IFLA_IPVLAN_FLAGS, pick(ipvlanFlags, "ipvlan_flag", "bridge")),
  ];
}
