/** Networking on the real kernel without containers: namespaces with descriptors, servers and clients inside them, an outside world
 *  made of one more namespace. Everything in this process, so that a test ends with it. */
import { closeSync, mkdtempSync, rmSync } from "node:fs";
import { createSocket } from "node:dgram";
import { createServer, Socket } from "node:net";
import { randomBytes } from "node:crypto";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { addressBytes, parseAddress } from "../../../src/network/cidr.ts";
import { createNetworking } from "../../../src/network/networking.ts";
import type {
  EndpointRequest,
  Networking,
  NetworkingOptions,
  PortRequest,
  SandboxRequest,
  SandboxState,
} from "../../../src/network/types.ts";
import * as libc from "../../../src/host/libc.ts";
import { NetlinkSocket } from "../../../src/host/netlink.ts";
import { createNetns, inNetns } from "../../../src/host/netns.ts";
import { addAddress, createVeth, deleteLink, setBridgePort, setLinkUp, setRoute } from "../../../src/host/rtnetlink.ts";
import { findLink } from "../../../src/host/rtnetlink-list.ts";
import { internetAddress } from "../../../src/host/socket-address.ts";
import { compareSnapshots, takeSnapshot, type Leak, type LeakKind, type Snapshot } from "../../support/leak-audit.ts";

/** The "host" of these tests is a namespace of this process's own: nothing they do touches the machine, and nobody else's rules
 *  and networks touch them. */
libc.unshare(libc.CLONE_NEWNET);
const loopback = new NetlinkSocket(0);
loopback.execute([setLinkUp(1)]);
loopback.close();

const bytes = (text: string): Buffer => addressBytes(parseAddress(text) ?? { family: 4, value: 0n });

/** What other tests on this machine cannot disturb. */
const ofThisNamespace: ReadonlySet<LeakKind> = new Set([
  "link",
  "fdb",
  "address",
  "route",
  "rule",
  "iptables",
  "ebtables",
  "nftables",
  "conntrack",
  "sysctl",
]);

export interface Box {
  readonly id: string;
  readonly name: string;
  readonly netns: number;
  readonly state: SandboxState;
  readonly request: SandboxRequest;
  readonly ip: string;
  readonly ip6: string;
}

type Pools = readonly { readonly base: string; readonly size: number }[];

export class Lab {
  readonly directory = mkdtempSync(join(tmpdir(), "tsn-"));
  readonly tag = randomBytes(8).toString("hex");
  readonly log: string[] = [];
  networking!: Networking;
  readonly #before: Snapshot;
  readonly #boxes = new Map<string, Box>();
  readonly #cleanups: (() => void | Promise<void>)[] = [];
  readonly #pools: Pools | undefined;

  private constructor(before: Snapshot, pools: Pools | undefined) {
    this.#before = before;
    this.#pools = pools;
  }

  static async create(pools?: Pools): Promise<Lab> {
    const lab = new Lab(await takeSnapshot(), pools);
    await lab.startNetworking();
    return lab;
  }

  async startNetworking(more: Partial<NetworkingOptions> = {}): Promise<void> {
    const log = (level: string, message: string): void => void this.log.push(`${level} ${message}`);
    this.networking = await createNetworking({
      dataDir: this.directory,
      tag: this.tag,
      pools: this.#pools,
      log,
      ...more,
    });
  }

  async network(name: string, body: object = {}): Promise<string> {
    return (await this.networking.create({ Name: name, ...body })).Id;
  }

  /** A namespace set up as a container's would be. */
  async box(
    name: string,
    networks: readonly (string | EndpointRequest)[],
    more: Partial<SandboxRequest> = {},
  ): Promise<Box> {
    const netns = createNetns();
    const request = this.request(name, networks, { ...more, netnsFd: netns });
    try {
      const state = await this.networking.setupSandbox(request);
      const [first] = state.endpoints;
      const box = {
        id: request.containerId,
        name,
        netns,
        state,
        request,
        ip: first?.ipv4?.address ?? "",
        ip6: first?.ipv6?.address ?? "",
      };
      this.#boxes.set(box.id, box);
      return box;
    } catch (error) {
      closeSync(netns);
      throw error;
    }
  }

  request(
    name: string,
    networks: readonly (string | EndpointRequest)[],
    more: Partial<SandboxRequest> & { readonly netnsFd: number },
  ): SandboxRequest {
    return {
      containerId: randomBytes(32).toString("hex"),
      containerName: name,
      hostname: `${name}-host`,
      previous: [],
      ports: [],
      dns: { servers: [], search: [], options: [] },
      extraHosts: [],
      sysctls: {},
      endpoints: networks.map((one) => (typeof one === "string" ? endpoint(one) : one)),
      ...more,
    };
  }

  async remove(box: Box): Promise<void> {
    this.#boxes.delete(box.id);
    await this.networking.teardownSandbox(box.id);
    closeSync(box.netns);
  }

  onEnd(cleanup: () => void | Promise<void>): void {
    this.#cleanups.push(cleanup);
  }

  /** A host on the other side of a cable: it has `far`, this host has `near`; no other way leads there. */
  outside(near: string, far: string, options: { readonly via?: boolean } = {}): number {
    const netns = createNetns();
    const name = `tso${randomBytes(4).toString("hex")}`;
    const host = new NetlinkSocket(0);
    const mac = Buffer.from([2, 0, 0, ...randomBytes(3)]);
    host.execute([createVeth({ name, mtu: 1500, master: undefined, peer: { name: "eth0", netnsFd: netns, mac } })]);
    host.execute([setBridgePort(name, { isolated: false, hairpin: false })]);
    host.execute([addAddress(findLink(host, name)?.index ?? 0, bytes(near), near.includes(":") ? 64 : 24)]);
    const inside = new NetlinkSocket(0, netns);
    const index = findLink(inside, "eth0")?.index ?? 0;
    inside.execute([setLinkUp(1), setLinkUp(index), addAddress(index, bytes(far), far.includes(":") ? 64 : 24)]);
    if (options.via !== false) {
      const family = near.includes(":") ? 6 : 4;
      inside.execute([setRoute({ index, destination: undefined, gateway: bytes(near), family })]);
    }
    inside.close();
    this.onEnd(() => {
      host.tryAll([deleteLink(name)]);
      host.close();
      closeSync(netns);
    });
    return netns;
  }

  /** Ends what is left and says what the kernel still has of it. */
  async dispose(): Promise<readonly Leak[]> {
    for (const box of this.#boxes.values()) await this.remove(box);
    for (const network of this.networking.list()) {
      if (!["bridge", "host", "none"].includes(network.Name)) await this.networking.remove(network.Id);
    }
    await this.networking.close();
    for (const cleanup of this.#cleanups.toReversed()) await cleanup();
    rmSync(this.directory, { recursive: true, force: true });
    return await leaksHere(this.#before);
  }
}

async function leaksHere(before: Snapshot): Promise<readonly Leak[]> {
  const deadline = performance.now() + 10_000;
  for (;;) {
    const leaks = compareSnapshots(before, await takeSnapshot()).filter(({ kind }) => ofThisNamespace.has(kind));
    if (leaks.length === 0 || performance.now() > deadline) return leaks;
  }
}

export function endpoint(networkId: string, more: Partial<EndpointRequest> = {}): EndpointRequest {
  return {
    networkId,
    aliases: [],
    ipv4: undefined,
    ipv6: undefined,
    linkLocalIps: [],
    macAddress: undefined,
    gatewayPriority: 0,
    driverOptions: {},
    ...more,
  };
}

export function port(containerPort: number, hostPort: number, more: Partial<PortRequest> = {}): PortRequest {
  return { containerPort, protocol: "tcp", hostIp: "", hostPort, hostPortEnd: hostPort, ...more };
}

/** How long to wait for an answer that must not come. */
export const blockedMs = 300;

/** A namespace, or undefined for the host's. */
export type Place = number | undefined;
const within = <T>(place: Place, work: () => T): T =>
  place === undefined ? work() : (inNetns as (fd: number, fn: () => T) => T)(place, work);

/** Answers each connection with `label` and the address it saw, and ends it. */
export function serveTcp(place: Place, address: string, number: number, label: string): { close: () => void } {
  const family = address.includes(":") ? libc.AF_INET6 : libc.AF_INET;
  const fd = within(place, () => {
    const socket = libc.socket(family, libc.SOCK_STREAM | libc.SOCK_NONBLOCK);
    libc.setsockopt(socket, { level: libc.SOL_SOCKET, name: libc.SO_REUSEADDR }, Buffer.from([1, 0, 0, 0]));
    libc.bind(socket, internetAddress(bytes(address), number));
    return socket;
  });
  const server = createServer((client) => {
    client.on("error", () => undefined);
    client.end(`${label} ${client.remoteAddress ?? ""}`);
  });
  server.listen({ fd });
  return { close: () => void server.close() };
}

/** What a server says; `refused`, `timeout` or another errno when it cannot be reached. */
export async function askTcp(place: Place, address: string, number: number, timeoutMs = 4000): Promise<string> {
  const family = address.includes(":") ? libc.AF_INET6 : libc.AF_INET;
  let fd: number;
  try {
    fd = within(place, () => {
      const socket = libc.socket(family, libc.SOCK_STREAM | libc.SOCK_NONBLOCK);
      try {
        libc.connect(socket, internetAddress(bytes(address), number));
      } catch (error) {
        if (libc.syscallErrno(error) !== "EINPROGRESS") {
          closeSync(socket);
          throw error;
        }
      }
      return socket;
    });
  } catch (error) {
    return libc.syscallErrno(error) ?? String(error);
  }
  return await new Promise((resolve) => {
    const socket = new Socket({ fd, readable: true, writable: true });
    let text = "";
    const finish = (answer: string): void => {
      clearTimeout(timer);
      socket.destroy();
      resolve(answer);
    };
    const timer = setTimeout(() => finish(text === "" ? "timeout" : text), timeoutMs);
    socket.on("data", (chunk: Buffer) => (text += chunk.toString()));
    socket.on("end", () => finish(text));
    socket.on("error", (error: NodeJS.ErrnoException) => finish(error.code ?? error.message));
  });
}

export interface UdpEnd {
  readonly send: (data: Buffer, port: number, address: string) => void;
  readonly next: (
    timeoutMs?: number,
  ) => Promise<{ readonly data: Buffer; readonly from: string; readonly port: number } | undefined>;
  readonly close: () => void;
}
/** A UDP socket at a place. `label`: it answers everything with it and the address it saw. */
export function openUdp(place: Place, address: string, number: number, label?: string): UdpEnd {
  const family = address.includes(":") ? libc.AF_INET6 : libc.AF_INET;
  const fd = within(place, () => {
    const socket = libc.socket(family, libc.SOCK_DGRAM | libc.SOCK_NONBLOCK);
    libc.bind(socket, internetAddress(bytes(address), number));
    return socket;
  });
  const socket = createSocket(family === libc.AF_INET ? "udp4" : "udp6");
  const waiting: { readonly data: Buffer; readonly from: string; readonly port: number }[] = [];
  const listeners: ((got: { readonly data: Buffer; readonly from: string; readonly port: number }) => void)[] = [];
  socket.on("error", () => undefined);
  socket.on("message", (data, from) => {
    if (label !== undefined) {
      socket.send(`${label} ${from.address}`, from.port, from.address);
      return;
    }
    const got = { data, from: from.address, port: from.port };
    const listener = listeners.shift();
    if (listener === undefined) waiting.push(got);
    else listener(got);
  });
  socket.bind({ fd });
  return {
    send: (data, to, at) => socket.send(data, to, at, () => undefined),
    next: async (timeoutMs = 4000) => {
      const ready = waiting.shift();
      if (ready !== undefined) return ready;
      return await new Promise((resolve) => {
        const timer = setTimeout(() => {
          listeners.splice(listeners.indexOf(listener), 1);
          resolve(undefined);
        }, timeoutMs);
        const listener = (got: { readonly data: Buffer; readonly from: string; readonly port: number }): void => {
          clearTimeout(timer);
          resolve(got);
        };
        listeners.push(listener);
      });
    },
    close: () => socket.close(),
  };
}

export async function askUdp(place: Place, address: string, number: number, timeoutMs = 4000): Promise<string> {
  const end = openUdp(place, address.includes(":") ? "::" : "0.0.0.0", 0);
  try {
    end.send(Buffer.from("?"), number, address);
    return (await end.next(timeoutMs))?.data.toString() ?? "timeout";
  } finally {
    end.close();
  }
}
