/** Userland forwarding from a held port into the container: for what NAT cannot do (IPv6 clients of an IPv4 container, [::1]), and
 *  as the way that still works while the NAT rules are gone. */
import { createSocket, type Socket as UdpSocket } from "node:dgram";
import { connect, createServer, type Server, type Socket } from "node:net";
import type { HeldPort } from "./held-port.ts";

export interface Target {
  /** Text of the container's address. */
  readonly address: string;
  readonly port: number;
}
export interface Forwarder {
  /** Stops it and frees the port, also for connections that are open. */
  close(): Promise<void>;
}

const udpIdleMs = 90_000;
const udpClientLimit = 4096;

/** Takes over the descriptor of `held`. */
export function forwardPort(held: HeldPort & { readonly fd: number }, target: Target): Forwarder {
  return held.protocol === "udp" ? forwardUdp(held.fd, target, held.family) : forwardTcp(held.fd, target);
}

function forwardTcp(fd: number, target: Target): Forwarder {
  const open = new Set<Socket>();
  const server: Server = createServer({ allowHalfOpen: true, pauseOnConnect: true }, (client) => {
    const upstream = connect({ host: target.address, port: target.port, allowHalfOpen: true });
    for (const [from, to] of [
      [client, upstream],
      [upstream, client],
    ] as const) {
      open.add(from);
      from.on("error", () => to.destroy());
      from.on("close", () => {
        open.delete(from);
        if (from.destroyed && !from.readableEnded) to.destroy();
      });
    }
    upstream.once("connect", () => {
      client.setNoDelay(true);
      upstream.setNoDelay(true);
      client.pipe(upstream);
      upstream.pipe(client);
      client.resume();
    });
  });
  server.on("error", () => undefined);
  server.listen({ fd });
  return {
    close: async () => {
      for (const socket of open) socket.destroy();
      await new Promise<void>((closed) => server.close(() => closed()));
    },
  };
}

function forwardUdp(fd: number, target: Target, family: 4 | 6): Forwarder {
  const type = family === 4 ? "udp4" : "udp6";
  const server = createSocket(type);
  const flows = new Map<string, { readonly socket: UdpSocket; timer: NodeJS.Timeout }>();
  const drop = (key: string): void => {
    const flow = flows.get(key);
    if (flow === undefined) return;
    clearTimeout(flow.timer);
    flow.socket.close();
    flows.delete(key);
  };
  server.on("error", () => undefined);
  server.on("message", (data, from) => {
    const key = `${from.address} ${from.port}`;
    let flow = flows.get(key);
    if (flow === undefined) {
      if (flows.size >= udpClientLimit) drop(flows.keys().next().value ?? "");
      const socket = createSocket(target.address.includes(":") ? "udp6" : "udp4");
      socket.on("error", () => undefined);
      socket.on("message", (answer) => server.send(answer, from.port, from.address));
      flow = { socket, timer: setTimeout(drop, udpIdleMs, key) };
      flow.timer.unref();
      flows.set(key, flow);
    }
    flow.timer.refresh();
    flow.socket.send(data, target.port, target.address);
  });
  server.bind({ fd });
  return {
    close: async () => {
      for (const key of flows.keys()) drop(key);
      await new Promise<void>((closed) => server.close(() => closed()));
    },
  };
}
