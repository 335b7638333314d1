import { execFileSync } from "node:child_process";
import { afterEach, beforeEach, expect, test } from "vitest";
import { askTcp, blockedMs, endpoint, Lab, serveTcp } from "./lab.ts";

let lab: Lab;
beforeEach(async () => {
  lab = await Lab.create();
});
afterEach(async () => {
  expect(await lab.dispose()).toEqual([]);
});

const IPAM = { Config: [{ Subnet: "198.51.100.0/24", IPRange: "198.51.100.64/26", Gateway: "198.51.100.2" }] };

test("containers of a macvlan network are neighbours on the parent's wire", async () => {
  const outside = lab.outside("203.0.113.1", "198.51.100.2", { via: false });
  const parent = /(tso\w+)/.exec(execFileSync("ip", ["-o", "link"]).toString())?.[1] ?? "";
  const net = await lab.network("lan", { Driver: "macvlan", IPAM, Options: { parent } });
  const [a, b] = [await lab.box("a", [net]), await lab.box("b", [endpoint(net, { ipv4: "198.51.100.9" })])];
  expect([a.ip, b.ip]).toEqual(["198.51.100.64", "198.51.100.9"]);
  lab.onEnd(serveTcp(b.netns, "0.0.0.0", 80, "b").close);
  expect(await askTcp(a.netns, b.ip, 80)).toBe(`b ${a.ip}`);
  expect(await askTcp(outside, b.ip, 80)).toBe("b 198.51.100.2");
});

test("a macvlan network without a parent is a wire of its own, which goes with the network", async () => {
  const net = await lab.network("island", { Driver: "macvlan", Internal: true });
  const [a, b] = [await lab.box("a", [net]), await lab.box("b", [net])];
  lab.onEnd(serveTcp(b.netns, "0.0.0.0", 80, "b").close);
  expect(await askTcp(a.netns, b.ip, 80)).toBe(`b ${a.ip}`);
  await lab.networking.disconnect(a.id, net);
  expect(await askTcp(a.netns, b.ip, 80, blockedMs)).toBe("ENETUNREACH");
});

test("a parent that does not exist and a mode that does not exist are refused, and leave nothing", async () => {
  const create = (options: object): Promise<string> =>
    lab.network("lan", { Driver: "macvlan", IPAM, Options: options });
  await expect(create({ parent: "nope0" })).rejects.toThrow(
    "invalid parent interface nope0: this host has no such interface",
  );
  await expect(create({ macvlan_mode: "odd" })).rejects.toThrow('invalid value for option macvlan_mode: "odd"');
  expect(lab.networking.list().map(({ Name }) => Name)).not.toContain("lan");
});
