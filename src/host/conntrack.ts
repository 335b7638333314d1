/** Entries of connection tracking, found and deleted over netlink. Source: linux/netfilter/nfnetlink_conntrack.h. */
import { attribute, nested, NetlinkSocket, parseAttributes } from "./netlink.ts";
import { AF_INET, AF_INET6, NETLINK_NETFILTER } from "./libc.ts";
import { errorMessage, isTscomposeError } from "../errors.ts";

const subsystem = 1 << 8;
const IPCTNL_MSG_CT_GET = subsystem | 1;
const IPCTNL_MSG_CT_DELETE = subsystem | 2;
const CTA_TUPLE_ORIG = 1;
const CTA_TUPLE_PROTO = 2;
const CTA_PROTO_NUM = 1;
const CTA_PROTO_DST_PORT = 3;
const IPPROTO_UDP = 17;

/** Deletes the UDP flows that were sent to one of these ports of any address. Best effort: a kernel without connection tracking
 *  has nothing to forget. @returns how many */
export function deleteUdpFlows(ports: ReadonlySet<number>): number {
  let socket: NetlinkSocket | undefined;
  try {
    socket = new NetlinkSocket(NETLINK_NETFILTER);
    const netlink = socket;
    return [AF_INET, AF_INET6].reduce((sum, family) => sum + deleteIn(netlink, family, ports), 0);
  } catch (error) {
    if (isTscomposeError(error, "host/syscall-failed")) return 0;
    throw new Error(`connection tracking: ${errorMessage(error)}`, { cause: error });
  } finally {
    socket?.close();
  }
}

function deleteIn(socket: NetlinkSocket, family: number, ports: ReadonlySet<number>): number {
  const header = Buffer.of(family, 0, 0, 0);
  const flows = socket.dump({ type: IPCTNL_MSG_CT_GET, flags: 0, body: header, subject: "list flows" });
  const doomed = flows.flatMap(({ body }) => {
    const tuple = parseAttributes(body.subarray(4)).get(CTA_TUPLE_ORIG);
    const protocol = tuple === undefined ? undefined : parseAttributes(tuple).get(CTA_TUPLE_PROTO);
    if (tuple === undefined || protocol === undefined) return [];
    const parts = parseAttributes(protocol);
    const port = parts.get(CTA_PROTO_DST_PORT)?.readUInt16BE(0);
    return parts.get(CTA_PROTO_NUM)?.[0] === IPPROTO_UDP && port !== undefined && ports.has(port) ? [tuple] : [];
  });
  socket.tryAll(
    doomed.map((tuple) => ({
      type: IPCTNL_MSG_CT_DELETE,
      flags: 0,
      body: Buffer.concat([header, nested(CTA_TUPLE_ORIG, [rewrap(tuple)])]),
      subject: "delete flow",
      accept: ["ENOENT"],
    })),
  );
  return doomed.length;
}

/** The attributes of a tuple as they came: each again behind its own header. */
function rewrap(tuple: Buffer): Buffer {
  return Buffer.concat([...parseAttributes(tuple)].map(([type, data]) => attribute(type | 0x8000, data)));
}
