/** How many rules and jumps a chain of iptables-nft has: enough to see in microseconds that somebody emptied it.
 *  Source: linux/netfilter/nf_tables.h (NFT_MSG_GETCHAIN, NFTA_CHAIN_USE). */
import { NETLINK_NETFILTER } from "./libc.ts";
import { NetlinkSocket, parseAttributes, textAttribute } from "./netlink.ts";
import { isTscomposeError } from "../errors.ts";

const NFT_MSG_GETCHAIN = (10 << 8) | 4;
const NFTA_CHAIN_USE = 6;

/** `table/chain` -> its count; undefined: there is no such chain, or the kernel has no nf_tables. */
export function countChainUses(
  family: "ip" | "ip6",
  chains: readonly { readonly table: string; readonly chain: string }[],
): readonly (number | undefined)[] {
  const socket = new NetlinkSocket(NETLINK_NETFILTER);
  try {
    return chains.map(({ table, chain }) => {
      const body = Buffer.concat([
        Buffer.of(family === "ip" ? 2 : 10, 0, 0, 0),
        textAttribute(1, table),
        textAttribute(3, chain),
      ]);
      try {
        const answer = socket.query({ type: NFT_MSG_GETCHAIN, flags: 0, body, subject: `read chain ${chain}` });
        return parseAttributes(answer.body.subarray(4)).get(NFTA_CHAIN_USE)?.readUInt32BE(0);
      } catch (error) {
        if (isTscomposeError(error, "host/syscall-failed")) return undefined;
        throw error;
      }
    });
  } finally {
    socket.close();
  }
}
