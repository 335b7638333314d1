/** The other backend of iptables: hosts whose `iptables` is the legacy program. It gives no notice of changes, so the rules are looked
 *  at in intervals. */
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeEach, expect, test } from "vitest";
import { saveRules } from "../../../src/host/iptables.ts";
import * as libc from "../../../src/host/libc.ts";
import { eventually } from "../../support/workspace.ts";
import { askTcp, blockedMs, Lab, port, serveTcp } from "./lab.ts";

const CLONE_NEWNS = 0x00020000;
/** In this process's own view of the files `iptables` is the legacy program, as `update-alternatives` would have it. */
const alternatives = mkdtempSync(join(tmpdir(), "alternatives-"));
libc.unshare(CLONE_NEWNS);
execFileSync("mount", ["--make-rprivate", "/"]);
execFileSync("cp", ["-a", "/etc/alternatives/.", alternatives]);
for (const family of ["iptables", "ip6tables"]) {
  for (const verb of ["", "-save", "-restore"]) {
    rmSync(join(alternatives, `${family}${verb}`), { force: true });
    symlinkSync(`/usr/sbin/${family}-legacy${verb}`, join(alternatives, `${family}${verb}`));
  }
}
libc.mount(alternatives, "/etc/alternatives", { flags: libc.MS_BIND });
afterAll(() => {
  libc.umount("/etc/alternatives");
  rmSync(alternatives, { recursive: true });
});

let lab: Lab;
beforeEach(async () => {
  lab = await Lab.create();
});
afterEach(async () => {
  expect(await lab.dispose()).toEqual([]);
});

test("ports are published, networks kept apart, flushed tables repaired, and nothing is left", async () => {
  const [n1, n2] = [await lab.network("n1"), await lab.network("n2")];
  const outside = lab.outside("192.0.2.1", "192.0.2.2");
  const web = await lab.box("web", [n1], { ports: [port(80, 18143)] });
  const other = await lab.box("other", [n2]);
  lab.onEnd(serveTcp(web.netns, "0.0.0.0", 80, "web").close);
  const check = async (): Promise<void> => {
    expect(await askTcp(outside, "192.0.2.1", 18143)).toBe("web 192.0.2.2");
    expect(await askTcp(undefined, "127.0.0.1", 18143)).toMatch(/^web /);
    for (const place of [outside, other.netns]) expect(await askTcp(place, web.ip, 80, blockedMs)).toBe("timeout");
  };
  await check();
  expect(execFileSync("iptables", ["--version"]).toString()).toContain("legacy");
  expect(execFileSync("nft", ["list", "ruleset"]).toString()).toBe("");
  const before = (await saveRules(4)).match(/^-A .*TSC-.*$/gm)?.toSorted();
  for (const table of ["filter", "nat", "raw"]) execFileSync("iptables", ["-t", table, "-F"]);
  await eventually(
    async () => ((await saveRules(4)).match(/^-A .*TSC-.*$/gm) ?? []).length === before?.length || undefined,
    8000,
  );
  expect((await saveRules(4)).match(/^-A .*TSC-.*$/gm)?.toSorted()).toEqual(before);
  await check();
});
