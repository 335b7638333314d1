import { execFile, execFileSync } from "node:child_process";
import { promisify } from "node:util";
import { afterEach, beforeEach, expect, test } from "vitest";
import { saveRules } from "../../../src/host/iptables.ts";
import { inNetns } from "../../../src/host/netns.ts";
import { eventually } from "../../support/workspace.ts";
import { askTcp, blockedMs, Lab, openUdp, port, serveTcp, type Box } from "./lab.ts";

let lab: Lab;
let web: Box;
let other: Box;
beforeEach(async () => {
  lab = await Lab.create();
  const [n1, n2] = [await lab.network("n1"), await lab.network("n2")];
  web = await lab.box("web", [n1], { ports: [port(80, 18141)] });
  other = await lab.box("other", [n2]);
  for (const box of [web, other]) lab.onEnd(serveTcp(box.netns, "0.0.0.0", 80, box.name).close);
});
/** Connections that were cut while they were open stay in the memory of connection tracking until they are forgotten. */
let cutsConnections = false;
afterEach(async () => {
  const leaks = await lab.dispose();
  expect(leaks.filter(({ kind }) => !(cutsConnections && kind === "conntrack"))).toEqual([]);
  cutsConnections = false;
});

const rules = async (): Promise<string> => (await saveRules(4)).replace(/^#.*$/gm, "").replace(/\[\d+:\d+\]/g, "");
const repaired = (): true | undefined => lab.log.some((line) => line.includes("have been repaired")) || undefined;
const bridgeOf = (name: string): string => {
  const address = lab.networking.inspect(name).IPAM.Config[0]?.Gateway ?? "";
  return /\d+: (\S+)/.exec(execFileSync("ip", ["-o", "addr", "show", "to", address]).toString())?.[1] ?? "";
};

const damages: readonly (readonly [title: string, argv: readonly string[]])[] = [
  ["every table is flushed and every chain deleted", ["nft", "flush", "ruleset"]],
  ["the filter table is flushed", ["iptables", "-F"]],
  ["the nat table is flushed", ["iptables", "-t", "nat", "-F"]],
  ["the raw table is flushed", ["iptables", "-t", "raw", "-F"]],
  [
    "somebody reloads an empty set of rules",
    ["sh", "-c", "printf '*filter\\nCOMMIT\\n*nat\\nCOMMIT\\n*raw\\nCOMMIT\\n' | iptables-restore"],
  ],
];
for (const [title, [program = "", ...args]] of damages) {
  test(`when ${title}, the rules are back within a second`, async () => {
    const before = await rules();
    expect(lab.log).toEqual([]);
    const start = performance.now();
    execFileSync(program, args);
    await eventually(repaired, 5000);
    expect(performance.now() - start).toBeLessThan(1000);
    expect((await rules()).split("\n").toSorted()).toEqual(before.split("\n").toSorted());
    expect(await askTcp(undefined, "127.0.0.1", 18141)).toMatch(/^web /);
    expect(await askTcp(other.netns, web.ip, 80, blockedMs)).toBe("timeout");
  });
}

test("while rules are flushed again and again, nothing passes between networks", async () => {
  const target = openUdp(web.netns, "0.0.0.0", 99);
  const sender = openUdp(other.netns, "0.0.0.0", 0);
  const flood = setInterval(() => {
    for (let n = 0; n < 20; n += 1) sender.send(Buffer.from("x"), 99, web.ip);
  }, 1);
  for (let round = 0; round < 5; round += 1) {
    await promisify(execFile)("sh", ["-c", "iptables -t raw -F; iptables -F; iptables -t nat -F"]);
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  clearInterval(flood);
  expect(await target.next(300)).toBeUndefined();
  target.close();
  sender.close();
});

test("a deleted bridge is made again with its ports", async () => {
  execFileSync("ip", ["link", "del", bridgeOf("n1")]);
  expect(
    await eventually(async () =>
      (await askTcp(undefined, "127.0.0.1", 18141, 500)).startsWith("web") ? true : undefined,
    ),
  ).toBe(true);
  expect(lab.log.some((line) => line.includes("n1 was damaged"))).toBe(true);
});

test("a bridge that was taken down or lost its address is put right", async () => {
  const bridge = bridgeOf("n1");
  execFileSync("ip", ["link", "set", bridge, "down"]);
  await eventually(async () =>
    (await askTcp(undefined, "127.0.0.1", 18141, 500)).startsWith("web") ? true : undefined,
  );
  execFileSync("ip", ["addr", "flush", "dev", bridge]);
  await eventually(async () =>
    (await askTcp(undefined, "127.0.0.1", 18141, 500)).startsWith("web") ? true : undefined,
  );
});

test("a container's link that was deleted is made again with its address and its way out", async () => {
  inNetns(web.netns, () => execFileSync("ip", ["link", "del", "eth0"]));
  await eventually(async () =>
    (await askTcp(undefined, "127.0.0.1", 18141, 500)).startsWith("web") ? true : undefined,
  );
  expect(inNetns(web.netns, () => execFileSync("ip", ["route"]).toString())).toContain("default via");
});

test("rules of others are left alone, and a change of theirs is no damage", async () => {
  execFileSync("sh", [
    "-c",
    "iptables -N OTHERS; iptables -I FORWARD 1 -j OTHERS; iptables -A OTHERS -s 192.0.2.0/24 -j DROP",
  ]);
  lab.onEnd(
    () => void execFileSync("sh", ["-c", "iptables -D FORWARD -j OTHERS; iptables -F OTHERS; iptables -X OTHERS"]),
  );
  execFileSync("iptables", ["-F"]);
  await eventually(repaired, 5000);
  expect(await rules()).not.toContain("192.0.2.0");
  execFileSync("sh", ["-c", "iptables -I FORWARD 1 -j OTHERS"]);
});

test("while traffic flows, every table is flushed and the bridge deleted: both come back, and nothing passes between networks meanwhile", async () => {
  cutsConnections = true;
  const outside = lab.outside("198.51.100.1", "198.51.100.2");
  // Both ways, by the addresses that only the rules and the links' own programs keep apart.
  const received: string[] = [];
  const closed: (() => void)[] = [];
  for (const [from, to] of [
    [other, web],
    [web, other],
  ] as const) {
    const target = openUdp(to.netns, "0.0.0.0", 99);
    void target.next(60_000).then((got) => got !== undefined && received.push(`${to.name} from ${got.from}`));
    const sender = openUdp(from.netns, "0.0.0.0", 0);
    const flood = setInterval(() => {
      for (let n = 0; n < 10; n += 1) sender.send(Buffer.from("x"), 99, to.ip);
    }, 1);
    closed.push(() => clearInterval(flood), target.close, sender.close);
  }
  const answers: { readonly at: number; readonly ok: boolean }[] = [];
  const clients = setInterval(() => {
    const at = performance.now();
    void askTcp(outside, "198.51.100.1", 18141, 500).then((text) => answers.push({ at, ok: text.startsWith("web ") }));
  }, 20);
  const settle = async (): Promise<void> => await new Promise((resolve) => setTimeout(resolve, 300));
  await settle();
  expect(answers.some(({ ok }) => ok)).toBe(true);
  const outages: number[] = [];
  for (const [program, args] of [
    ["nft", ["flush", "ruleset"]],
    ["ip", ["link", "del", bridgeOf("n1")]],
  ] as const) {
    const start = performance.now();
    await promisify(execFile)(program, [...args]);
    // Good again once every client that began after some moment is answered.
    await eventually(() => {
      const recent = answers.filter(({ at }) => at > start).slice(-5);
      return (recent.length === 5 && recent.every(({ ok }) => ok)) || undefined;
    }, 8000);
    const failed = answers.filter(({ at, ok }) => at > start && !ok);
    outages.push(Math.max(0, ...failed.map(({ at }) => at - start)));
    await settle();
  }
  clearInterval(clients);
  closed.forEach((close) => close());
  process.stderr.write(
    `last client without an answer: ${outages.map((ms) => `${Math.round(ms)} ms`).join(" and ")} after the damage\n`,
  );
  expect(received).toEqual([]);
  expect(await rules()).toContain("--dport 18141");
  expect(Math.max(...outages)).toBeLessThan(5000); // under one second on a machine that is not busy
});
