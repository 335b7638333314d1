/** The resolver of one container: sockets inside its network namespace, so that who asks is known by the socket and nobody else
 *  can. Programs ask 127.0.0.11:53; the sockets sit on other ports, so that the container may serve port 53 itself.
 *  Source: RFC 1035 section 4.2, RFC 7766. */
import { closeSync } from "node:fs";
import * as libc from "../../host/libc.ts";
import { inNetns } from "../../host/netns.ts";
import { redirectLocalPorts } from "../../host/nftables.ts";
import { internetAddress, portOf } from "../../host/socket-address.ts";
import { resolverAddress } from "../etc-files.ts";
import { createAnswerer, type AnswererOptions } from "./answerer.ts";
import { serveTcp } from "./tcp.ts";
import { serveUdp } from "./udp.ts";

export interface DnsServerOptions extends AnswererOptions {
  readonly netns: number;
  readonly log: (level: "info" | "warn" | "error", message: string) => void;
}
export interface DnsServer {
  close(): void;
}

const address = Buffer.from(resolverAddress.split(".").map(Number));
const table = "tscompose";
const SO_RCVBUFFORCE = 33;
/** Bytes of questions that wait while the engine is busy: a lost one is asked again only after seconds. */
const waitingRoom = Buffer.alloc(4);
waitingRoom.writeUInt32LE(512 * 1024);

/** One way in. */
export interface Door {
  close(): void;
}

/** `lo` must be up. @throws host/syscall-failed */
export function startDnsServer(options: DnsServerOptions): DnsServer {
  const sockets = openSockets(options);
  const answer = createAnswerer(options);
  const udp = serveUdp(sockets.udp, answer, options.log);
  const tcp = serveTcp(sockets.tcp, answer);
  return {
    close: () => {
      udp.close();
      tcp.close();
    },
  };
}

function openSockets(options: DnsServerOptions): { readonly udp: number; readonly tcp: number } {
  try {
    const sockets = bindBoth(options.netns, 0);
    try {
      redirectLocalPorts(options.netns, table, [
        { protocol: "udp", address, port: 53, actualPort: portOf(libc.getsockname(sockets.udp)) },
        { protocol: "tcp", address, port: 53, actualPort: portOf(libc.getsockname(sockets.tcp)) },
      ]);
      return sockets;
    } catch (error) {
      closeSync(sockets.udp);
      closeSync(sockets.tcp);
      throw error;
    }
  } catch (error) {
    options.log("warn", `name resolution takes port 53 of the container itself: ${String(error)}`);
    return bindBoth(options.netns, 53);
  }
}

function bindBoth(netns: number, port: number): { readonly udp: number; readonly tcp: number } {
  return inNetns(netns, () => {
    const udp = libc.socket(libc.AF_INET, libc.SOCK_DGRAM | libc.SOCK_NONBLOCK);
    const tcp = libc.socket(libc.AF_INET, libc.SOCK_STREAM | libc.SOCK_NONBLOCK);
    try {
      libc.setsockopt(udp, { level: libc.SOL_SOCKET, name: SO_RCVBUFFORCE }, waitingRoom);
      libc.bind(udp, internetAddress(address, port));
      libc.bind(tcp, internetAddress(address, port));
      return { udp, tcp };
    } catch (error) {
      closeSync(udp);
      closeSync(tcp);
      throw error;
    }
  });
}
