/** The resolver of one container: sockets inside its network namespace, so that who asks is known by the socket and nobody else
 *  can. Programs ask 127.0.0.11:53; the sockets sit on other ports, so that the container may serve port 53 itself.
 *  Source: RFC 1035 section 4.2, RFC 7766. */
import { createSocket, type Socket as UdpSocket } from "node:dgram";
import { createServer, type Server, type Socket } from "node:net";
import { closeSync } from "node:fs";
import * as libc from "../../host/libc.ts";
import { inNetns } from "../../host/netns.ts";
import { redirectLocalPorts } from "../../host/nftables.ts";
import { internetAddress, portOf } from "../../host/socket-address.ts";
import { resolverAddress } from "../etc-files.ts";
import { encodeAnswer, encodeRefusal } from "./answer.ts";
import { parseQuery, SERVFAIL } from "./question.ts";
import { resolve, type DnsView } from "./resolve.ts";
import type { Upstream } from "./upstream.ts";

export interface DnsServerOptions {
  readonly netns: number;
  readonly view: () => DnsView;
  /** Text addresses of the servers to forward to. */
  readonly servers: () => readonly string[];
  readonly upstream: Upstream;
  readonly log: (level: "info" | "warn" | "error", message: string) => void;
}
export interface DnsServer {
  close(): void;
}

const address = Buffer.from(resolverAddress.split(".").map(Number));
const table = "tscompose";
const maximumForwards = 256;
const maximumConnections = 64;
const idleMs = 5000;
const largestTcpAnswer = 65_535;

/** `lo` must be up. @throws host/syscall-failed */
export function startDnsServer(options: DnsServerOptions): DnsServer {
  const sockets = openSockets(options);
  let forwards = 0;

  const respond = (message: Buffer, transport: "udp" | "tcp", reply: (answer: Buffer) => void): void => {
    const parsed = parseQuery(message);
    if (parsed.kind === "drop") return;
    if (parsed.kind === "refuse") return reply(encodeRefusal(parsed.id, parsed.opcode, parsed.rcode));
    const { question } = parsed;
    const limit = transport === "tcp" ? largestTcpAnswer : question.udpSize;
    const fail = (): void => reply(encodeAnswer(question, { rcode: SERVFAIL, records: [], limit }));
    const resolution = resolve(question, options.view());
    if (resolution.kind === "answer") return reply(encodeAnswer(question, { ...resolution, limit }));
    if (forwards >= maximumForwards) return fail();
    forwards += 1;
    void options.upstream
      .ask({ message, question, servers: options.servers(), transport })
      .catch(() => undefined)
      .then((answer) => {
        forwards -= 1;
        if (answer === undefined) return fail();
        return reply(answer.length > limit ? cutOff(answer, question.raw.length) : answer);
      });
  };

  const udp = serveUdp(sockets.udp, respond, options.log);
  const tcp = serveTcp(sockets.tcp, respond);
  return {
    close: () => {
      udp.close();
      tcp.close();
    },
  };
}

type Respond = (message: Buffer, transport: "udp" | "tcp", reply: (answer: Buffer) => void) => void;

/** Header and question alone, with TC set: ask again over TCP. */
function cutOff(answer: Buffer, questionLength: number): Buffer {
  const cut = Buffer.from(answer.subarray(0, 12 + questionLength));
  cut.writeUInt16BE(cut.readUInt16BE(2) | 0x0200, 2);
  cut.fill(0, 6, 12);
  return cut;
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

function serveUdp(fd: number, respond: Respond, log: DnsServerOptions["log"]): { close: () => void } {
  const socket: UdpSocket = createSocket("udp4");
  let closed = false;
  socket.on("error", (error) => log("warn", `name server socket: ${error.message}`));
  socket.on("message", (message, from) => {
    respond(message, "udp", (answer) => {
      if (!closed) socket.send(answer, from.port, from.address, () => undefined);
    });
  });
  socket.bind({ fd });
  return {
    close: () => {
      closed = true;
      socket.close();
    },
  };
}

function serveTcp(fd: number, respond: Respond): { close: () => void } {
  const open = new Set<Socket>();
  const server: Server = createServer((socket) => {
    open.add(socket);
    if (open.size > maximumConnections) open.values().next().value?.destroy();
    socket.setTimeout(idleMs, () => socket.destroy());
    socket.on("error", () => socket.destroy());
    socket.on("close", () => open.delete(socket));
    readFrames(socket, (message) => {
      respond(message, "tcp", (answer) => {
        if (socket.destroyed) return;
        const length = Buffer.alloc(2);
        length.writeUInt16BE(answer.length);
        socket.write(Buffer.concat([length, answer]));
        // One that asks and does not read must not fill our memory.
        if (socket.writableLength > 4 * largestTcpAnswer) socket.destroy();
      });
    });
  });
  server.on("error", () => undefined);
  server.listen({ fd });
  return {
    close: () => {
      for (const socket of open) socket.destroy();
      server.close();
    },
  };
}

function readFrames(socket: Socket, onMessage: (message: Buffer) => void): void {
  let pending: Buffer = Buffer.alloc(0);
  socket.on("data", (chunk: Buffer) => {
    pending = pending.length === 0 ? chunk : Buffer.concat([pending, chunk]);
    while (pending.length >= 2) {
      const end = 2 + pending.readUInt16BE(0);
      if (pending.length < end) return;
      onMessage(pending.subarray(2, end));
      pending = pending.subarray(end);
    }
  });
}
