import { execFileSync } from "node:child_process";
import { afterEach, beforeEach, expect, test } from "vitest";
import type { NetworkFault } from "../../../src/engine/types.ts";
import { eventually } from "../../support/workspace.ts";
import { askTcp, askUdp, blockedMs, endpoint, Lab, openUdp, port, serveTcp, type Box } from "./lab.ts";

let lab: Lab;
let net: string;
let boxes: Readonly<Record<"web" | "db" | "api", Box>>;
const hostAddress = "198.51.100.1";

async function serving(name: string, networks: readonly string[], more: object = {}): Promise<Box> {
  const box = await lab.box(name, networks, { labels: { service: name.replace(/\d$/, "") }, ...more });
  lab.onEnd(serveTcp(box.netns, "0.0.0.0", 80, name).close);
  lab.onEnd(serveTcp(box.netns, "::", 81, name).close);
  lab.onEnd(openUdp(box.netns, "0.0.0.0", 53, name).close);
  return box;
}
beforeEach(async () => {
  lab = await Lab.create();
  lab.outside(hostAddress, "198.51.100.2");
  net = await lab.network("n1", { EnableIPv6: true });
  boxes = {
    web: await serving("web", [net], { ports: [port(80, 18301)] }),
    db: await serving("db", [net], { ports: [port(80, 18302)] }),
    api: await serving("api", [net]),
  };
});
afterEach(async () => {
  for (const { Id } of lab.networking.faults.list()) await lab.networking.faults.remove(Id);
  expect(await lab.dispose()).toEqual([]);
});

const side = (service: string): { readonly Name: string; readonly Labels: { readonly service: string } } => ({
  Name: service,
  Labels: { service },
});
const partition = async (a: string, b: string): Promise<NetworkFault> =>
  await lab.networking.faults.create({ Kind: "partition", Sides: [side(a), side(b)] });
const cut = async (a: string): Promise<NetworkFault> =>
  await lab.networking.faults.create({ Kind: "cut", Sides: [side(a)] });

/** tcp, udp and tcp over IPv6 from one to the other. */
async function reach(from: Box | undefined, to: Box): Promise<readonly boolean[]> {
  const place = from?.netns;
  const answers = await Promise.all([
    askTcp(place, to.ip, 80, blockedMs),
    askUdp(place, to.ip, 53, blockedMs),
    askTcp(place, to.ip6, 81, blockedMs),
  ]);
  return answers.map((answer) => answer.startsWith(to.name));
}
const all = [true, true, true];
const none = [false, false, false];

test("a partition stops both sides in both families, also by the host's ports and on connections that are open, and nobody else", async () => {
  const { web, db, api } = boxes;
  expect(await reach(web, db)).toEqual(all);
  const { Id, Containers } = await partition("web", "db");
  expect(Containers).toEqual([["web"], ["db"]]);
  expect(await reach(web, db)).toEqual(none);
  expect(await reach(db, web)).toEqual(none);
  expect(await askTcp(web.netns, hostAddress, 18302, blockedMs)).toBe("timeout");
  for (const [from, to] of [
    [web, api],
    [api, db],
    [db, api],
    [undefined, db],
  ] as const) {
    expect(await reach(from, to)).toEqual(all);
  }
  expect(await askTcp(undefined, "127.0.0.1", 18302)).toMatch(/^db /);
  expect(lab.networking.faults.of(web.id)).toEqual(["partitioned from db"]);
  expect(lab.networking.faults.of(api.id)).toEqual([]);
  await lab.networking.faults.remove(Id);
  expect(await reach(web, db)).toEqual(all);
  expect(lab.log.filter((line) => line.includes(Id))).toHaveLength(2);
});

test("one that is cut off reaches nobody and is reached by nobody, not by the host either, until it is healed", async () => {
  const { web, db, api } = boxes;
  const { Id } = await cut("db");
  expect(await reach(web, db)).toEqual(none);
  expect(await reach(db, web)).toEqual(none);
  expect(await reach(undefined, db)).toEqual(none);
  expect(await askTcp(undefined, "127.0.0.1", 18302, blockedMs)).not.toMatch(/^db/);
  expect(await reach(web, api)).toEqual(all);
  expect(lab.networking.faults.of(db.id)).toEqual(["cut off"]);
  await lab.networking.faults.remove(Id);
  expect(await reach(web, db)).toEqual(all);
  expect(await reach(db, web)).toEqual(all);
});

test("containers that come later or join another network are separated too, and those of another service are not", async () => {
  const { db } = boxes;
  await partition("web", "db");
  const web2 = await serving("web2", [net]);
  expect(await reach(web2, db)).toEqual(none);
  expect(await reach(db, web2)).toEqual(none);
  const n2 = await lab.network("n2");
  const other = await serving("other", [net]);
  expect(await reach(other, db)).toEqual(all);
  const far = await lab.networking.connect(db.id, endpoint(n2));
  const near = await lab.networking.connect(web2.id, endpoint(n2));
  expect(await askTcp(web2.netns, far.ipv4?.address ?? "", 80, blockedMs)).toBe("timeout");
  expect(await askTcp(db.netns, near.ipv4?.address ?? "", 80, blockedMs)).toBe("timeout");
});

test("it stays through flushed tables, a deleted bridge and an engine that was killed, and is told of at the start", async () => {
  const { web, db, api } = boxes;
  await partition("web", "db");
  await cut("api");
  execFileSync("nft", ["flush", "ruleset"]);
  expect(await reach(web, db)).toEqual(none);
  await eventually(() => lab.log.some((line) => line.includes("have been repaired")) || undefined);
  const bridge = /: (tsb[^:@ ]+)/.exec(execFileSync("ip", ["link", "show", "type", "bridge"]).toString())?.[1] ?? "";
  execFileSync("ip", ["link", "del", bridge]);
  await eventually(async () => (await reach(undefined, db)).every(Boolean) || undefined);
  expect(await reach(web, db)).toEqual(none);
  expect(await reach(undefined, api)).toEqual(none);
  await lab.networking.close();
  expect(await reach(web, db)).toEqual(none);
  lab.log.length = 0;
  await lab.startNetworking();
  for (const { request, netns, state } of [web, db, api]) {
    await lab.networking.adoptSandbox({ ...request, netnsFd: netns }, state);
  }
  await lab.networking.reconcile();
  expect(lab.log.filter((line) => line.includes("on purpose since"))).toHaveLength(2);
  expect(lab.log.filter((line) => line.includes("repaired"))).toEqual([]);
  expect(await reach(web, db)).toEqual(none);
  expect(await reach(undefined, api)).toEqual(none);
  for (const { Id } of lab.networking.faults.list()) await lab.networking.faults.remove(Id);
  // A neighbour that did not answer is asked again by the kernel after a second.
  for (const to of [db, api]) await eventually(async () => (await reach(web, to)).every(Boolean) || undefined);
});

test("the same fault twice, one without labels and one that is not there are refused", async () => {
  await partition("web", "db");
  await expect(partition("db", "web")).rejects.toMatchObject({ code: "network/name-in-use" });
  await expect(lab.networking.faults.create({ Kind: "cut", Sides: [{ Name: "x", Labels: {} }] })).rejects.toThrow(
    "each side has a name and labels",
  );
  await expect(lab.networking.faults.remove("0123456789ab")).rejects.toMatchObject({ code: "network/not-found" });
});
