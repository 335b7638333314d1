/** Links, addresses and routes as the kernel has them. Source: rtnetlink(7), linux/if_link.h, linux/if_addr.h, linux/rtnetlink.h. */
import { parseAttributes, textAttribute, type NetlinkSocket } from "./netlink.ts";

const RTM_GETLINK = 18;
const RTM_GETADDR = 22;
const RTM_GETROUTE = 26;
const IFLA_ADDRESS = 1;
const IFLA_IFNAME = 3;
const IFLA_MTU = 4;
const IFLA_MASTER = 10;
const IFLA_LINKINFO = 18;
const IFLA_INFO_KIND = 1;
const IFA_ADDRESS = 1;
const IFA_LOCAL = 2;
const RTA_DST = 1;
const RTA_OIF = 4;
const RTA_TABLE = 15;
const RT_TABLE_LOCAL = 255;
const AF_INET = 2;
const AF_INET6 = 10;
const IFF_UP = 1;

export interface LinkInfo {
  readonly index: number;
  readonly name: string;
  readonly mac: string;
  readonly mtu: number;
  readonly up: boolean;
  readonly kind: string | undefined;
  /** Index of the bridge it is a port of. */
  readonly master: number | undefined;
}
export function parseLink(body: Buffer): LinkInfo {
  const attributes = parseAttributes(body.subarray(16));
  const info = attributes.get(IFLA_LINKINFO);
  const kind = info === undefined ? undefined : parseAttributes(info).get(IFLA_INFO_KIND);
  return {
    index: body.readInt32LE(4),
    name: cText(attributes.get(IFLA_IFNAME)) ?? "",
    mac: (attributes.get(IFLA_ADDRESS)?.toString("hex").match(/../g) ?? []).join(":"),
    mtu: attributes.get(IFLA_MTU)?.readUInt32LE(0) ?? 0,
    up: (body.readUInt32LE(8) & IFF_UP) !== 0,
    kind: cText(kind),
    master: attributes.get(IFLA_MASTER)?.readUInt32LE(0),
  };
}
const cText = (bytes: Buffer | undefined): string | undefined => bytes?.toString("utf8").replace(/\0.*$/s, "");

/** All links of the socket's namespace. */
export function listLinks(socket: NetlinkSocket): readonly LinkInfo[] {
  const answers = socket.dump({ type: RTM_GETLINK, flags: 0, body: Buffer.alloc(16), subject: "list links" });
  return answers.map(({ body }) => parseLink(body));
}

/** One link by name; undefined when there is none. */
export function findLink(socket: NetlinkSocket, name: string): LinkInfo | undefined {
  const body = Buffer.concat([Buffer.alloc(16), textAttribute(IFLA_IFNAME, name)]);
  try {
    return parseLink(socket.query({ type: RTM_GETLINK, flags: 0, body, subject: `find link ${name}` }).body);
  } catch (error) {
    if (isNoDevice(error)) return undefined;
    throw error;
  }
}
function isNoDevice(error: unknown): boolean {
  return error instanceof Error && "details" in error && (error.details as { errno?: unknown }).errno === "ENODEV";
}

export interface LinkAddress {
  readonly index: number;
  /** 4 or 16 bytes. */
  readonly address: Buffer;
  readonly prefixLength: number;
}
export function listAddresses(socket: NetlinkSocket): readonly LinkAddress[] {
  const answers = socket.dump({ type: RTM_GETADDR, flags: 0, body: Buffer.alloc(8), subject: "list addresses" });
  return answers.flatMap(({ body }) => {
    const attributes = parseAttributes(body.subarray(8));
    const address = attributes.get(IFA_LOCAL) ?? attributes.get(IFA_ADDRESS);
    if (address === undefined) return [];
    return [{ index: body.readUInt32LE(4), address, prefixLength: body.readUInt8(1) }];
  });
}

export interface RouteInfo {
  /** 4 or 16 bytes; undefined: a default route. */
  readonly destination: Buffer | undefined;
  readonly prefixLength: number;
  readonly interfaceIndex: number | undefined;
  readonly family: 4 | 6;
}
/** Unicast routes of every table but the local one, whose entries are the addresses. */
export function listRoutes(socket: NetlinkSocket): readonly RouteInfo[] {
  const answers = socket.dump({ type: RTM_GETROUTE, flags: 0, body: Buffer.alloc(12), subject: "list routes" });
  return answers.flatMap(({ body }) => {
    const attributes = parseAttributes(body.subarray(12));
    const table = attributes.get(RTA_TABLE)?.readUInt32LE(0) ?? body.readUInt8(4);
    const routeFamily = body.readUInt8(0);
    if (table === RT_TABLE_LOCAL || (routeFamily !== AF_INET && routeFamily !== AF_INET6)) return [];
    return [
      {
        destination: attributes.get(RTA_DST),
        prefixLength: body.readUInt8(1),
        interfaceIndex: attributes.get(RTA_OIF)?.readUInt32LE(0),
        family: routeFamily === AF_INET ? (4 as const) : (6 as const),
      },
    ];
  });
}
