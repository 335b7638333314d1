/** Notifications of the kernel: links, addresses, and changes of netfilter rules by anybody. Source: rtnetlink(7),
 *  linux/netfilter/nfnetlink.h (NFNLGRP_NFTABLES), linux/netfilter/nf_tables.h. */
import { closeSync } from "node:fs";
import * as libc from "./libc.ts";
import { decodeMessages, netlinkAddress, parseAttributes, type ParsedMessage } from "./netlink.ts";
import type { Poller } from "./poller.ts";
import { parseLink, type LinkInfo } from "./rtnetlink-list.ts";

const RTM_NEWLINK = 16;
const RTM_DELLINK = 17;
const RTM_DELADDR = 21;
const RTMGRP_LINK = 0x1;
const RTMGRP_IPV4_IFADDR = 0x10;
const RTMGRP_IPV6_IFADDR = 0x100;
const NFNLGRP_NFTABLES = 7;
const NFT_MSG_NEWGEN = (10 << 8) | 15;
const NFTA_GEN_PROC_NAME = 3;

export type KernelNotice =
  | { readonly kind: "link-gone" | "link-changed"; readonly link: LinkInfo }
  | { readonly kind: "address-gone"; readonly index: number }
  /** `program`: the first 15 bytes of the name of who did it. */
  | { readonly kind: "rules-changed"; readonly program: string }
  /** More happened than the kernel could keep: anything may have changed. */
  | { readonly kind: "overrun" };

/** @returns how to stop */
export function watchKernel(poller: Poller, notify: (notice: KernelNotice) => void): () => void {
  const stops = [
    watch(
      poller,
      { protocol: libc.NETLINK_ROUTE, groups: RTMGRP_LINK | RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR },
      notify,
    ),
    watch(poller, { protocol: libc.NETLINK_NETFILTER, groups: 1 << (NFNLGRP_NFTABLES - 1) }, notify),
  ];
  return () => stops.forEach((stop) => stop());
}

function watch(
  poller: Poller,
  source: { readonly protocol: number; readonly groups: number },
  notify: (notice: KernelNotice) => void,
): () => void {
  const fd = libc.socket(libc.AF_NETLINK, libc.SOCK_RAW | libc.SOCK_NONBLOCK, source.protocol);
  libc.bind(fd, netlinkAddress(source.groups));
  const size = Buffer.alloc(4);
  size.writeUInt32LE(4 * 1024 * 1024);
  libc.setsockopt(fd, { level: libc.SOL_SOCKET, name: libc.SO_RCVBUF }, size);
  const buffer = Buffer.allocUnsafe(64 * 1024);
  poller.watch(fd, libc.EPOLLIN, () => {
    for (;;) {
      let length: number;
      try {
        length = libc.recv(fd, buffer, libc.MSG_DONTWAIT);
      } catch (error) {
        if (libc.syscallErrno(error) !== "ENOBUFS") throw error;
        notify({ kind: "overrun" });
        continue;
      }
      if (length <= 0) return;
      for (const message of decodeMessages(buffer.subarray(0, length))) {
        const notice = source.protocol === libc.NETLINK_ROUTE ? routeNotice(message) : ruleNotice(message);
        if (notice !== undefined) notify(notice);
      }
    }
  });
  return () => {
    poller.unwatch(fd);
    closeSync(fd);
  };
}

function routeNotice(message: ParsedMessage): KernelNotice | undefined {
  switch (message.type) {
    case RTM_NEWLINK:
      return { kind: "link-changed", link: parseLink(message.body) };
    case RTM_DELLINK:
      return { kind: "link-gone", link: parseLink(message.body) };
    case RTM_DELADDR:
      return { kind: "address-gone", index: message.body.readUInt32LE(4) };
    default:
      return undefined;
  }
}

function ruleNotice(message: ParsedMessage): KernelNotice | undefined {
  if (message.type !== NFT_MSG_NEWGEN) return undefined;
  const name = parseAttributes(message.body.subarray(4)).get(NFTA_GEN_PROC_NAME);
  return { kind: "rules-changed", program: name?.toString("utf8").replace(/\0.*$/s, "") ?? "" };
}
