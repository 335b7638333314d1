/** Beside the firewall of the host: what README.md says about ufw, firewalld, plain nft and the administrator's chain
 *  (security.md N-11). The host is a namespace with one cable to the outside. */
import { execFileSync } from "node:child_process";
import { afterEach, beforeEach, expect, test } from "vitest";
import { saveRules } from "../../../src/host/iptables.ts";
import { eventually } from "../../support/workspace.ts";
import { askTcp, blockedMs, Lab, port, serveTcp, type Box } from "./lab.ts";

const [near, far] = ["192.0.2.1", "192.0.2.2"];
let lab: Lab;
let web: Box;
let outside: number;
beforeEach(async () => {
  lab = await Lab.create();
  outside = lab.outside(near, far);
  web = await lab.box("web", [await lab.network("n1")], { ports: [port(80, 18142)] });
  lab.onEnd(serveTcp(web.netns, "0.0.0.0", 80, "web").close);
  lab.onEnd(serveTcp(outside, "0.0.0.0", 80, "outside").close);
});
afterEach(async () => {
  expect(await lab.dispose()).toEqual([]);
});

const run = (program: string, ...args: readonly string[]): void => void execFileSync(program, args);
const reachesPublished = (timeoutMs = 4000): Promise<string> => askTcp(outside, near, 18142, timeoutMs);
const reachesOutside = (timeoutMs = 4000): Promise<string> => askTcp(web.netns, far, 80, timeoutMs);
const reachesDirectly = (): Promise<string> => askTcp(outside, web.ip, 80, blockedMs);

test("beside ufw, which drops what comes in and what is forwarded, published ports answer, and still do after it reloads", async () => {
  const load = (): void => {
    for (const chain of ["INPUT", "FORWARD"]) run("iptables", "-F", chain);
    for (const chain of ["INPUT", "FORWARD"]) run("iptables", "-P", chain, "DROP");
    run("iptables", "-A", "INPUT", "-p", "tcp", "--dport", "22", "-j", "ACCEPT");
    run("iptables", "-A", "FORWARD", "-m", "conntrack", "--ctstate", "RELATED,ESTABLISHED", "-j", "ACCEPT");
  };
  const first = async (): Promise<true | undefined> =>
    /^-A FORWARD (.*)$/m.exec(await saveRules(4))?.[1]?.startsWith("-j TSC-") === true || undefined;
  try {
    for (const round of ["loaded", "reloaded"]) {
      load();
      await eventually(first, 5000);
      expect([round, await reachesPublished(), await reachesOutside()]).toEqual([
        round,
        `web ${far}`,
        `outside ${near}`,
      ]);
      expect(await reachesDirectly()).toBe("timeout");
    }
  } finally {
    for (const chain of ["INPUT", "FORWARD"]) run("iptables", "-F", chain);
    for (const chain of ["INPUT", "FORWARD"]) run("iptables", "-P", chain, "ACCEPT");
  }
});

/** As firewalld orders its own: after iptables, replies and translated packets accepted, the rest refused but for its zones. */
const firewalld = (trusted: string): string => `table inet firewalld {
  chain filter_FORWARD {
    type filter hook forward priority 10; policy accept;
    ct state established,related accept
    ct status dnat accept
    ${trusted}
    reject with icmpx admin-prohibited
  }
}`;
test("beside firewalld published ports answer, and containers reach the outside once their bridges are in a trusted zone", async () => {
  execFileSync("nft", ["-f", "-"], { input: firewalld("") });
  try {
    expect(await reachesPublished()).toBe(`web ${far}`);
    expect(await reachesOutside(blockedMs)).not.toContain("outside");
    run("nft", "delete", "table", "inet", "firewalld");
    execFileSync("nft", ["-f", "-"], { input: firewalld('iifname "tsb*" accept') });
    expect(await reachesOutside()).toBe(`outside ${near}`);
    expect(await reachesDirectly()).toBe("timeout");
  } finally {
    run("nft", "delete", "table", "inet", "firewalld");
  }
});

test("what a plain nft table of the host drops stays dropped, published or not", async () => {
  const text = `table inet mine {
    chain forward {
      type filter hook forward priority 0; policy accept;
      tcp dport 80 drop
    }
  }`;
  execFileSync("nft", ["-f", "-"], { input: text });
  try {
    expect([await reachesPublished(blockedMs), await reachesOutside(blockedMs)]).toEqual(["timeout", "timeout"]);
    await eventually(async () => (await saveRules(4)).includes("-j TSC-") || undefined, 2000);
    expect(await reachesPublished(blockedMs)).toBe("timeout");
  } finally {
    run("nft", "delete", "table", "inet", "mine");
  }
  expect(await reachesPublished()).toBe(`web ${far}`);
});

test("the administrator's chain comes first and is never written to, not by a repair either", async () => {
  run("iptables", "-A", "TSCOMPOSE-USER", "-s", far, "-j", "DROP");
  try {
    expect(await reachesPublished(blockedMs)).toBe("timeout");
    run("iptables", "-F", "FORWARD");
    await eventually(() => lab.log.some((line) => line.includes("have been repaired")) || undefined, 5000);
    expect(await reachesPublished(blockedMs)).toBe("timeout");
    expect(await saveRules(4)).toContain(`-A TSCOMPOSE-USER -s ${far}/32 -j DROP\n`);
  } finally {
    run("iptables", "-F", "TSCOMPOSE-USER");
  }
  expect(await reachesPublished()).toBe(`web ${far}`);
});
