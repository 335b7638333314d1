/** The few nf_tables messages the engine sends itself: inside a container's namespace, where starting a program for each container
 *  would cost more than everything else. Source: linux/netfilter/nf_tables.h, nfnetlink.h. Integers are big-endian. */
import {
  attribute,
  encodeMessage,
  nested,
  NetlinkSocket,
  NLM_F_ACK,
  NLM_F_APPEND,
  NLM_F_CREATE,
  NLM_F_EXCL,
  textAttribute,
} from "./netlink.ts";
import { NETLINK_NETFILTER, syscallErrno } from "./libc.ts";

const subsystem = 10 << 8;
const NFNL_MSG_BATCH_BEGIN = 0x10;
const NFNL_MSG_BATCH_END = 0x11;
const NFT_MSG_NEWTABLE = subsystem | 0;
const NFT_MSG_DELTABLE = subsystem | 2;
const NFT_MSG_NEWCHAIN = subsystem | 3;
const NFT_MSG_NEWRULE = subsystem | 6;
const NFPROTO_IPV4 = 2;
const NF_INET_LOCAL_OUT = 3;
const register = 1;

function be32(type: number, value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeInt32BE(value | 0);
  return attribute(type, bytes);
}
const header = (family: number, resource = 0): Buffer => Buffer.of(family, 0, resource >> 8, resource & 255);

const expression = (name: string, data: readonly Buffer[]): Buffer =>
  nested(1, [textAttribute(1, name), nested(2, data)]);
const valueData = (type: number, value: Buffer): Buffer => nested(type, [attribute(1, value)]);

const networkHeader = 1;
const transportHeader = 2;
const load = (base: number, offset: number, length: number): Buffer =>
  expression("payload", [be32(1, register), be32(2, base), be32(3, offset), be32(4, length)]);
const equals = (value: Buffer): Buffer => expression("cmp", [be32(1, register), be32(2, 0), valueData(3, value)]);
const loadProtocol = expression("meta", [be32(1, register), be32(2, 16)]);
/** Overwrites two bytes of the transport header and corrects its checksum at `checksumOffset`. */
const store = (value: Buffer, offset: number, checksumOffset: number): readonly Buffer[] => [
  expression("immediate", [be32(1, register), valueData(2, value)]),
  expression("payload", [
    be32(2, transportHeader),
    be32(3, offset),
    be32(4, 2),
    be32(5, register),
    be32(6, 1),
    be32(7, checksumOffset),
  ]),
];

export interface PortRedirect {
  readonly protocol: "tcp" | "udp";
  /** IPv4, four bytes. */
  readonly address: Buffer;
  /** What programs ask for. */
  readonly port: number;
  /** Where it is answered. */
  readonly actualPort: number;
}

/** In the namespace of `netns`, in one transaction, instead of what `table` held: packets to `address:port` reach `actualPort` and the
 *  answers look as if they came from `port`. Stateless, so no connection tracking is switched on for the container. Others may bind
 *  0.0.0.0:`port` there. @throws host/syscall-failed where the kernel lacks nf_tables */
export function redirectLocalPorts(netns: number, table: string, redirects: readonly PortRedirect[]): void {
  const socket = new NetlinkSocket(NETLINK_NETFILTER, netns);
  try {
    // Deleting a table makes the kernel wait for a grace period of some 10 ms: only where there is one.
    socket.executeBatch((first) => encodeBatch(first, { table, redirects, replace: false }));
  } catch (error) {
    if (syscallErrno(error) !== "EEXIST") throw error;
    socket.executeBatch((first) => encodeBatch(first, { table, redirects, replace: true }));
  } finally {
    socket.close();
  }
}

function encodeBatch(
  first: number,
  wanted: { readonly table: string; readonly redirects: readonly PortRedirect[]; readonly replace: boolean },
): { readonly bytes: Buffer; readonly sequences: readonly number[] } {
  const { table, redirects, replace } = wanted;
  const chain = (name: string, priority: number): Buffer =>
    Buffer.concat([
      header(NFPROTO_IPV4),
      textAttribute(1, table),
      textAttribute(3, name),
      nested(4, [be32(1, NF_INET_LOCAL_OUT), be32(2, priority)]),
      textAttribute(7, "filter"),
    ]);
  const rule = (name: string, expressions: readonly Buffer[]): Buffer =>
    Buffer.concat([header(NFPROTO_IPV4), textAttribute(1, table), textAttribute(2, name), nested(4, expressions)]);
  const named = Buffer.concat([header(NFPROTO_IPV4), textAttribute(1, table)]);
  // Connection tracking, where a container uses it, sits at -200: it sees the public port in both directions.
  const bodies: readonly (readonly [type: number, body: Buffer, flags: number])[] = [
    ...(replace ? [[NFT_MSG_DELTABLE, named, 0] as const] : []),
    [NFT_MSG_NEWTABLE, named, NLM_F_CREATE | NLM_F_EXCL],
    [NFT_MSG_NEWCHAIN, chain("queries", -150), NLM_F_CREATE],
    [NFT_MSG_NEWCHAIN, chain("answers", -300), NLM_F_CREATE],
    ...redirects.flatMap((redirect) => {
      const [ask, answer] = redirectExpressions(redirect);
      return [
        [NFT_MSG_NEWRULE, rule("queries", ask), NLM_F_CREATE | NLM_F_APPEND],
        [NFT_MSG_NEWRULE, rule("answers", answer), NLM_F_CREATE | NLM_F_APPEND],
      ] as const;
    }),
  ];
  const message = (type: number, body: Buffer, sequence: number): Buffer =>
    encodeMessage({ type, flags: 0, body, subject: "" }, sequence, 0);
  const sequences = bodies.map((_, index) => first + 1 + index);
  const bytes = Buffer.concat([
    message(NFNL_MSG_BATCH_BEGIN, header(0, 10), first),
    ...bodies.map(([type, body, flags], index) =>
      encodeMessage({ type, flags, body, subject: "" }, first + 1 + index, NLM_F_ACK),
    ),
    message(NFNL_MSG_BATCH_END, header(0, 10), first + 1 + bodies.length),
  ]);
  return { bytes, sequences };
}

function redirectExpressions(redirect: PortRedirect): readonly [readonly Buffer[], readonly Buffer[]] {
  const protocol = Buffer.of(redirect.protocol === "tcp" ? 6 : 17);
  const checksumOffset = redirect.protocol === "tcp" ? 16 : 6;
  const port = (value: number): Buffer => Buffer.of(value >> 8, value & 255);
  const match = (addressOffset: number, portOffset: number, value: number): readonly Buffer[] => [
    loadProtocol,
    equals(protocol),
    load(networkHeader, addressOffset, 4),
    equals(redirect.address),
    load(transportHeader, portOffset, 2),
    equals(port(value)),
  ];
  return [
    [...match(16, 2, redirect.port), ...store(port(redirect.actualPort), 2, checksumOffset)],
    [...match(12, 0, redirect.actualPort), ...store(port(redirect.port), 0, checksumOffset)],
  ];
}
