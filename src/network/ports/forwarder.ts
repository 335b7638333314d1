/** Userland forwarding from a held port into the container: for what NAT cannot do (IPv6 clients of an IPv4 container, [::1]), and
 *  as the way that still works while the NAT rules are gone. */
import { createSocket, type RemoteInfo, type Socket as UdpSocket } from "node:dgram";
import { connect, createServer, type Server, type Socket } from "node:net";
import type { HeldPort } from "./held-port.ts";

export interface Target {
  /** Text of the container's address. */
  readonly address: string;
  readonly port: number;
}
export interface Forwarder {
  /** Lets UDP clients whose container had this address go to another one. */
  forget(address: string): void;
  /** Stops it and frees the port, also for connections that are open. */
  close(): Promise<void>;
}
/** Where the next client goes; undefined: nowhere at the moment. */
export type NextTarget = () => Target | undefined;

const udpIdleMs = 90_000;
const udpClientLimit = 4096;

/** Takes over the descriptor of `held`. */
export function forwardPort(held: HeldPort & { readonly fd: number }, next: NextTarget): Forwarder {
  return held.protocol === "udp" ? forwardUdp(held.fd, next, held.family) : forwardTcp(held.fd, next);
}

function forwardTcp(fd: number, next: NextTarget): Forwarder {
  const open = new Set<Socket>();
  const server: Server = createServer({ allowHalfOpen: true, pauseOnConnect: true }, (client) => {
    const target = next();
    if (target === undefined) {
      client.destroy();
      return;
    }
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
    forget: () => undefined, // a connection ends with its container
    close: async () => {
      for (const socket of open) socket.destroy();
      await new Promise<void>((closed) => server.close(() => closed()));
    },
  };
}

interface UdpFlow {
  readonly socket: UdpSocket;
  readonly target: Target;
  readonly timer: NodeJS.Timeout;
}

function forwardUdp(fd: number, next: NextTarget, family: 4 | 6): Forwarder {
  const server = createSocket(family === 4 ? "udp4" : "udp6");
  const flows = new Map<string, UdpFlow>();
  const drop = (key: string): void => {
    const flow = flows.get(key);
    if (flow === undefined) return;
    clearTimeout(flow.timer);
    flow.socket.close();
    flows.delete(key);
  };
  const begin = (key: string, from: RemoteInfo): UdpFlow | undefined => {
    const target = next();
    if (target === undefined) return undefined;
    if (flows.size >= udpClientLimit) drop(flows.keys().next().value ?? "");
    const socket = createSocket(target.address.includes(":") ? "udp6" : "udp4");
    socket.on("error", () => undefined);
    socket.on("message", (answer) => server.send(answer, from.port, from.address));
    const flow = { socket, target, timer: setTimeout(drop, udpIdleMs, key).unref() };
    flows.set(key, flow);
    return flow;
  };
  server.on("error", () => undefined);
  server.on("message", (data, from) => {
    const key = `${from.address} ${from.port}`;
    const flow = flows.get(key) ?? begin(key, from);
    flow?.timer.refresh();
    flow?.socket.send(data, flow.target.port, flow.target.address);
  });
  server.bind({ fd });
  return {
    forget: (address) => {
      for (const [key, { target }] of flows) if (target.address === address) drop(key);
    },
    close: async () => {
      for (const key of flows.keys()) drop(key);
      await new Promise<void>((closed) => server.close(() => closed()));
    },
  };
}
