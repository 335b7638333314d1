import { execFileSync } from "node:child_process";
import { afterEach, beforeEach, expect, test } from "vitest";
import type { SandboxRequest } from "../../../src/network/types.ts";
import { eventually } from "../../support/workspace.ts";
import { askTcp, askUdp, Lab, openUdp, port, serveTcp, type Box } from "./lab.ts";

let lab: Lab;
beforeEach(async () => {
  lab = await Lab.create();
});
afterEach(async () => {
  expect(await lab.dispose()).toEqual([]);
});

const hostAddress = "198.51.100.1";
const group = { publishGroup: "shop/web" };

async function replicas(net: string, names: readonly string[], more: Partial<SandboxRequest>): Promise<readonly Box[]> {
  const boxes: Box[] = [];
  for (const name of names) {
    const box = await lab.box(name, [net], { ...group, ...more });
    lab.onEnd(serveTcp(box.netns, "0.0.0.0", 80, name).close);
    lab.onEnd(openUdp(box.netns, "0.0.0.0", 53, name).close);
    boxes.push(box);
  }
  return boxes;
}
async function tally(count: number, ask: () => Promise<string>): Promise<Readonly<Record<string, number>>> {
  const counts: Record<string, number> = {};
  for (let n = 0; n < count; n += 1) {
    const [name = ""] = (await ask()).split(" ");
    counts[name] = (counts[name] ?? 0) + 1;
  }
  return counts;
}

test("replicas that publish one port get its clients in turn: from outside, by any address of the host, and on loopback", async () => {
  const net = await lab.network("n1");
  const outside = lab.outside(hostAddress, "198.51.100.2");
  await replicas(net, ["a", "b", "c"], { ports: [port(80, 18201), port(53, 18201, { protocol: "udp" })] });
  const even = { a: 4, b: 4, c: 4 };
  expect(await tally(12, () => askTcp(outside, hostAddress, 18201))).toEqual(even);
  expect(await tally(12, () => askTcp(undefined, "127.0.0.1", 18201))).toEqual(even);
  expect(await tally(12, () => askTcp(undefined, "::1", 18201))).toEqual(even);
  expect(await tally(12, () => askUdp(outside, hostAddress, 18201))).toEqual(even);
  expect(await tally(12, () => askUdp(undefined, "::1", 18201))).toEqual(even);
});

test("a replica that is unhealthy or gone gets no clients, one that comes back does, and the last one keeps the port", async () => {
  const net = await lab.network("n1");
  const [a, b, c] = await replicas(net, ["a", "b", "c"], {
    ports: [port(80, 18202), port(53, 18202, { protocol: "udp" })],
  });
  if (a === undefined || b === undefined || c === undefined) throw new Error("three replicas");
  const tcp = (): Promise<string> => askTcp(undefined, "127.0.0.1", 18202);
  const untilOnly = async (wanted: readonly string[]): Promise<void> => {
    await eventually(async () => {
      const seen = Object.keys(await tally(6, tcp)).toSorted();
      return JSON.stringify(seen) === JSON.stringify(wanted) || undefined;
    });
  };
  lab.networking.setHealthy(b.id, false);
  await untilOnly(["a", "c"]);
  expect(await tally(6, () => askUdp(undefined, "::1", 18202))).toEqual({ a: 3, c: 3 });
  lab.networking.setHealthy(b.id, true);
  await untilOnly(["a", "b", "c"]);
  await lab.remove(a);
  expect(await tally(6, tcp)).toEqual({ b: 3, c: 3 });
  for (const id of [b.id, c.id]) lab.networking.setHealthy(id, false);
  await untilOnly(["b", "c"]); // nobody is healthy: better these than nobody
  await lab.remove(b);
  expect(await tally(3, tcp)).toEqual({ c: 3 });
  await lab.remove(c);
  expect(await tcp()).toBe("ECONNREFUSED");
});

test("the port is still held against all others, and a refused one leaves the group as it was", async () => {
  const net = await lab.network("n1");
  const ports = [port(80, 18203)];
  await replicas(net, ["a"], { ports });
  await expect(lab.box("stranger", [net], { ports })).rejects.toThrow(/already allocated by container a/);
  await expect(lab.box("other", [net], { ports, publishGroup: "shop/api" })).rejects.toThrow(/already allocated/);
  lab.onEnd(serveTcp(undefined, "127.0.0.1", 18204, "host").close);
  await expect(lab.box("b", [net], { ...group, ports: [...ports, port(81, 18204)] })).rejects.toThrow(/18204/);
  const exclusive = [port(80, 18205, { exclusive: true })];
  await lab.box("c", [net], { ...group, ports: exclusive });
  await expect(lab.box("d", [net], { ...group, ports: exclusive })).rejects.toThrow(/already allocated by container c/);
  expect(await tally(3, () => askTcp(undefined, "127.0.0.1", 18203))).toEqual({ a: 3 });
});

test("a loopback port of several replicas is closed to neighbours, and an engine restart keeps the spread", async () => {
  const net = await lab.network("n1");
  const outside = lab.outside(hostAddress, "198.51.100.2");
  const boxes = await replicas(net, ["a", "b"], { ports: [port(80, 18206, { hostIp: "127.0.0.1" })] });
  expect(await askTcp(outside, hostAddress, 18206)).toBe("ECONNREFUSED");
  await lab.networking.close();
  expect(await tally(4, () => askTcp(undefined, "127.0.0.1", 18206))).toEqual({ a: 2, b: 2 });
  await lab.startNetworking();
  for (const { request, netns, state } of boxes) {
    await lab.networking.adoptSandbox({ ...request, netnsFd: netns }, state);
  }
  await lab.networking.reconcile();
  expect(lab.log.filter((line) => line.includes("repaired"))).toEqual([]);
  const [c] = await replicas(net, ["c"], { ports: [port(80, 18206, { hostIp: "127.0.0.1" })] });
  expect(c?.state.ports).toMatchObject([{ hostIp: "127.0.0.1", hostPort: 18206 }]);
  expect(await tally(6, () => askTcp(undefined, "127.0.0.1", 18206))).toEqual({ a: 2, b: 2, c: 2 });
});

test("flushed rules of a shared port come back in their order", async () => {
  const net = await lab.network("n1");
  await replicas(net, ["a", "b", "c"], { ports: [port(80, 18207)] });
  execFileSync("iptables", ["-t", "nat", "-F"]);
  await eventually(() => lab.log.some((line) => line.includes("have been repaired")) || undefined);
  expect(await tally(6, () => askTcp(undefined, "127.0.0.1", 18207))).toEqual({ a: 2, b: 2, c: 2 });
});

test("the default publish address counts where neither port nor network names one, and an address that is none is said", async () => {
  await lab.networking.close();
  await lab.startNetworking({ publishAddresses: ["127.0.0.1", "::1"] });
  lab.outside(hostAddress, "198.51.100.2");
  const binding = { "com.docker.network.bridge.host_binding_ipv4": hostAddress };
  const [n1, n2] = [await lab.network("n1"), await lab.network("n2", { Options: binding })];
  const bound = async (net: string, more: object): Promise<readonly string[]> => {
    const box = await lab.box(`x${Math.random()}`, [net], { ports: [port(80, 18208, more)] });
    await lab.remove(box);
    return box.state.ports.map(({ hostIp }) => hostIp);
  };
  expect(await bound(n1, {})).toEqual(["127.0.0.1", "::1"]);
  expect(await bound(n1, { hostIp: "0.0.0.0" })).toEqual(["0.0.0.0"]);
  expect(await bound(n2, {})).toEqual([hostAddress]);
  expect(await bound(n1, { hostPort: 0, hostPortEnd: 0 })).toEqual(["127.0.0.1", "::1"]);
  await lab.networking.close();
  await lab.startNetworking({ publishAddresses: ["203.0.113.9"] });
  await expect(bound(n1, {})).rejects.toThrow("cannot bind 203.0.113.9:18208: cannot assign requested address");
});
