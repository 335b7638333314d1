import { execFileSync } from "node:child_process";
import { afterEach, beforeEach, expect, test } from "vitest";
import { saveRules } from "../../../src/host/iptables.ts";
import { askTcp, endpoint, Lab, openUdp, port, serveTcp, type Box } from "./lab.ts";

let lab: Lab;
beforeEach(async () => {
  lab = await Lab.create();
});
afterEach(async () => {
  expect(await lab.dispose()).toEqual([]);
});

/** As after `kill -9` of the engine: sockets are closed, nothing in the kernel was taken back. */
async function restartEngine(survivors: readonly Box[]): Promise<void> {
  await lab.networking.close();
  await lab.startNetworking();
  for (const { request, netns, state } of survivors)
    await lab.networking.adoptSandbox({ ...request, netnsFd: netns }, state);
  await lab.networking.reconcile();
}

test("published ports work while no engine runs, and are held again by the next one", async () => {
  const net = await lab.network("n1");
  const web = await lab.box("web", [net], { ports: [port(80, 18101)] });
  lab.onEnd(serveTcp(web.netns, "0.0.0.0", 80, "web").close);
  const rules = await saveRules(4);
  await lab.networking.close();
  expect(await askTcp(undefined, "127.0.0.1", 18101)).toMatch(/^web /);
  await lab.startNetworking();
  await lab.networking.adoptSandbox({ ...web.request, netnsFd: web.netns }, web.state);
  await lab.networking.reconcile();
  expect(await askTcp(undefined, "127.0.0.1", 18101)).toMatch(/^web /);
  expect(await askTcp(undefined, "::1", 18101)).toMatch(/^web /);
  const withoutCounters = (text: string): string => text.replace(/^#.*$/gm, "").replace(/\[\d+:\d+\]/g, "");
  expect(withoutCounters(await saveRules(4))).toBe(withoutCounters(rules));
  expect(lab.log.filter((line) => line.includes("repaired"))).toEqual([]);
  await expect(lab.box("b", [net], { ports: [port(80, 18101)] })).rejects.toThrow(/already allocated by container web/);
});

test("addresses of survivors stay theirs, names resolve again, the rest is free", async () => {
  const net = await lab.network("n1");
  const [a, b] = [await lab.box("a", [net]), await lab.box("b", [endpoint(net, { aliases: ["db"] })])];
  await restartEngine([a, b]);
  expect(Object.keys(lab.networking.inspect(net).Containers).toSorted()).toEqual([a.id, b.id].toSorted());
  const c = await lab.box("c", [net]);
  expect(new Set([a.ip, b.ip, c.ip]).size).toBe(3);
  const own = openUdp(a.netns, "0.0.0.0", 0);
  const query = Buffer.from("000101000001000000000000026462000001" + "0001", "hex");
  own.send(query, 53, "127.0.0.11");
  const answer = await own.next(4000);
  own.close();
  expect(answer?.data.subarray(-4)).toEqual(Buffer.from(b.ip.split(".").map(Number)));
});

test("what belongs to a container that did not survive is removed", async () => {
  const net = await lab.network("n1");
  const [a, b] = [
    await lab.box("a", [net], { ports: [port(80, 18102)] }),
    await lab.box("b", [net], { ports: [port(80, 18103)] }),
  ];
  lab.onEnd(serveTcp(a.netns, "0.0.0.0", 80, "a").close);
  await restartEngine([a]);
  expect(Object.keys(lab.networking.inspect(net).Containers)).toEqual([a.id]);
  expect(await saveRules(4)).not.toContain("18103");
  expect(await askTcp(undefined, "127.0.0.1", 18102)).toMatch(/^a /);
  expect(await askTcp(undefined, "127.0.0.1", 18103)).toBe("ECONNREFUSED");
  expect(b.ip).not.toBe("");
});

test("rules and bridges that were taken away meanwhile are made again", async () => {
  const net = await lab.network("n1");
  const [a, b] = [await lab.box("a", [net], { ports: [port(80, 18104)] }), await lab.box("b", [net])];
  lab.onEnd(serveTcp(a.netns, "0.0.0.0", 80, "a").close);
  for (const table of ["filter", "nat", "raw"]) execFileSync("iptables", ["-t", table, "-F"]);
  const bridge =
    /name (tsb\S+)|: (tsb[^:@ ]+)/.exec(execFileSync("ip", ["link", "show", "type", "bridge"]).toString())?.[2] ?? "";
  execFileSync("ip", ["link", "del", bridge]);
  await restartEngine([a, b]);
  expect(await askTcp(b.netns, a.ip, 80)).toMatch(/^a /);
  expect(await askTcp(undefined, "127.0.0.1", 18104)).toMatch(/^a /);
  expect(lab.log.some((line) => line.includes("repaired"))).toBe(true);
});

test("a damaged record of a network is set aside and reported, and the others work", async () => {
  const [n1, n2] = [await lab.network("n1"), await lab.network("n2")];
  await lab.networking.close();
  execFileSync("sh", ["-c", `echo '{' > ${lab.directory}/networks/${n1}.json`]);
  await lab.startNetworking();
  await lab.networking.reconcile();
  expect(lab.networking.list().map(({ Name }) => Name)).not.toContain("n1");
  expect(lab.networking.inspect("n2").Id).toBe(n2);
  expect(lab.log.join("\n")).toContain("set aside");
});
