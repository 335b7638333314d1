import { execFileSync } from "node:child_process";
import { afterEach, beforeEach, expect, test } from "vitest";
import { inNetns } from "../../../src/host/netns.ts";
import { askTcp, blockedMs, Lab, openUdp, serveTcp, type Box } from "./lab.ts";

let lab: Lab;
beforeEach(async () => {
  lab = await Lab.create();
});
afterEach(async () => {
  expect(await lab.dispose()).toEqual([]);
});

const inside = (box: Box, ...argv: readonly string[]): string =>
  inNetns(box.netns, () => execFileSync(argv[0] ?? "", argv.slice(1)).toString());

/** Who the target thinks has sent something, if anything came. */
async function heard(target: Box, sender: Box, from: string, address: string): Promise<string | undefined> {
  const [ear, mouth] = [
    openUdp(target.netns, address.includes(":") ? "::" : "0.0.0.0", 99),
    openUdp(sender.netns, from, 0),
  ];
  mouth.send(Buffer.from("x"), 99, address);
  const got = await ear.next(blockedMs);
  ear.close();
  mouth.close();
  return got?.from;
}

test("a container cannot send from the address of a neighbour, of the gateway or of somebody far away", async () => {
  const net = await lab.network("n1", { EnableIPv6: true });
  const [a, b, victim] = [await lab.box("a", [net]), await lab.box("b", [net]), await lab.box("victim", [net])];
  const gateway = a.state.endpoints[0]?.ipv4?.gateway ?? "";
  expect(await heard(b, a, a.ip, b.ip)).toBe(a.ip);
  for (const address of [victim.ip, gateway, "192.0.2.77"]) {
    inside(a, "ip", "addr", "add", `${address}/32`, "dev", "eth0");
    expect(await heard(b, a, address, b.ip)).toBeUndefined();
  }
  expect(await heard(b, a, a.ip6, b.ip6)).toBe(a.ip6);
  inside(a, "ip", "addr", "add", `${victim.ip6}/128`, "dev", "eth0", "nodad");
  expect(await heard(b, a, victim.ip6, b.ip6)).toBeUndefined();
});

test("a container cannot claim a neighbour's address in ARP, nor use another MAC address", async () => {
  const net = await lab.network("n1");
  const [a, b, victim] = [await lab.box("a", [net]), await lab.box("b", [net]), await lab.box("victim", [net])];
  lab.onEnd(serveTcp(victim.netns, "0.0.0.0", 80, "victim").close);
  expect(await askTcp(b.netns, victim.ip, 80)).toMatch(/^victim /);
  inside(a, "ip", "addr", "add", `${victim.ip}/26`, "dev", "eth0");
  inside(b, "ip", "neigh", "flush", "dev", "eth0");
  lab.onEnd(serveTcp(a.netns, victim.ip, 80, "imposter").close);
  for (let n = 0; n < 5; n += 1) expect(await askTcp(b.netns, victim.ip, 80)).toMatch(/^victim /);
  inside(a, "ip", "addr", "del", `${victim.ip}/26`, "dev", "eth0");
  inside(a, "ip", "link", "set", "eth0", "address", "02:42:00:00:00:99");
  expect(await heard(b, a, a.ip, b.ip)).toBeUndefined();
});

test("a network whose members are routers may allow other addresses", async () => {
  const net = await lab.network("n1", { Options: { "io.tscompose.network.allow_spoofing": "true" } });
  const [a, b] = [await lab.box("a", [net]), await lab.box("b", [net])];
  inside(a, "ip", "addr", "add", "192.0.2.77/32", "dev", "eth0");
  inside(b, "ip", "route", "add", "192.0.2.77", "via", a.ip);
  expect(await heard(b, a, "192.0.2.77", b.ip)).toBe("192.0.2.77");
});
