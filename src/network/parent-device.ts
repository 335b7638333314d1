/** The parent interface of a macvlan or ipvlan network: one of the host's, a VLAN of one, or a dummy that leads nowhere. */
import { randomBytes } from "node:crypto";
import { TscomposeError } from "../errors.ts";
import { syscallErrno } from "../host/libc.ts";
import { u16Attribute, type NetlinkSocket } from "../host/netlink.ts";
import { homeNetns } from "../host/netns.ts";
import { createChild, createVeth, setBridgePort, setLinkUp } from "../host/rtnetlink.ts";
import { findLink } from "../host/rtnetlink-list.ts";
import type { NetworkRecord } from "./network-record.ts";

/** Its name for a network, before the network is made. `fallback`: the name of a dummy. */
export function parentNameOf(options: Readonly<Record<string, string>>, fallback: string): string {
  const parent = options["parent"] ?? "";
  return parent === "" ? fallback : parent;
}

/** @returns its index. @throws network/invalid when the host has no such interface */
export function ensureParent(socket: NetlinkSocket, record: NetworkRecord): number {
  const name = record.bridgeName;
  const found = findLink(socket, name);
  if (found !== undefined) {
    if (!found.up) socket.execute([setLinkUp(found.index)]);
    return found.index;
  }
  const vlan = /^(.+)\.(\d{1,4})$/.exec(name);
  if (vlan !== null) createVlan(socket, { name, base: vlan[1] ?? "", id: Number(vlan[2]) });
  else if ((record.options["parent"] ?? "") !== "") throw noParent(name);
  else createWire(socket, name);
  const made = findLink(socket, name);
  if (made === undefined) throw noParent(name);
  return made.index;
}

/** A link that leads nowhere: a dummy, or where the kernel has none a veth pair with nobody at its other end. */
function createWire(socket: NetlinkSocket, name: string): void {
  const [error] = socket.tryAll([createChild({ kind: "dummy", name, parent: undefined, up: true, data: [] })]);
  if (error === undefined) return;
  if (syscallErrno(error) !== "EOPNOTSUPP") throw error;
  const far = `x${name.slice(1)}`;
  const mac = Buffer.concat([Buffer.of(0x02, 0x42), randomBytes(4)]);
  socket.execute([createVeth({ name, mtu: 1500, master: undefined, peer: { name: far, netnsFd: homeNetns(), mac } })]);
  for (const end of [name, far]) socket.execute([setBridgePort(end, { isolated: false, hairpin: false })]);
}

function createVlan(
  socket: NetlinkSocket,
  vlan: { readonly name: string; readonly base: string; readonly id: number },
): void {
  const IFLA_VLAN_ID = 1;
  const base = findLink(socket, vlan.base);
  if (base === undefined) throw noParent(vlan.base);
  if (vlan.id < 1 || vlan.id > 4094) {
    throw new TscomposeError("network/invalid", `invalid VLAN id ${vlan.id} in parent ${vlan.name}`, {
      hint: "a VLAN id is between 1 and 4094",
    });
  }
  const data = [u16Attribute(IFLA_VLAN_ID, vlan.id)];
  socket.execute([createChild({ kind: "vlan", name: vlan.name, parent: base.index, up: true, data })]);
}

function noParent(name: string): TscomposeError {
  return new TscomposeError("network/invalid", `invalid parent interface ${name}: this host has no such interface`, {
    details: { parent: name },
    hint: "set driver_opts.parent to one that `ip link` lists",
  });
}
