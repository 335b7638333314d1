/** Makes a bridge with a veth pair in a throwaway network namespace. Needs root. */
import { closeSync } from "node:fs";
import { NETLINK_ROUTE } from "./libc.ts";
import { NetlinkSocket } from "./netlink.ts";
import { createNetns } from "./netns.ts";
import { createBridge, createVeth } from "./rtnetlink.ts";
import { findLink } from "./rtnetlink-list.ts";

/** @throws host/syscall-failed with the kernel's answer where one of them cannot be made */
export function probeBridgeAndVeth(): void {
  const namespace = createNetns();
  const socket = new NetlinkSocket(NETLINK_ROUTE, namespace);
  try {
    socket.execute([createBridge({ name: "probe", mac: Buffer.from([2, 0, 0, 0, 0, 1]), mtu: undefined })]);
    const mac = Buffer.from([2, 0, 0, 0, 0, 2]);
    const peer = { name: "peer", index: 77, netnsFd: namespace, mac };
    socket.execute([createVeth({ name: "veth", mtu: 1500, master: findLink(socket, "probe")?.index, peer })]);
  } finally {
    socket.close();
    closeSync(namespace);
  }
}
