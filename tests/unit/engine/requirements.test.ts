import { describe, expect, test } from "vitest";
import { isAtLeast, judgeHost } from "../../../src/engine/requirements.ts";
import type { HostFacts } from "../../../src/host/facts.ts";

const good: HostFacts = {
  uid: 0,
  kernel: "6.1.0-30-amd64",
  namespaces: ["cgroup", "ipc", "mnt", "net", "pid", "user", "uts"],
  fileSystems: ["nodev", "overlay", "ext4"],
  cgroup: { layout: "v2", controllers: ["cpuset", "cpu", "io", "memory", "pids"] },
  seccomp: true,
  appArmor: true,
  crun: "crun version 1.21",
  runc: undefined,
  conmon: "conmon version 2.1.12",
  iptables: "iptables v1.8.9 (nf_tables)",
  ip6tables: "ip6tables v1.8.9 (nf_tables)",
  unshare: "unshare from util-linux 2.38.1",
  otherBackendHasRules: false,
  forwarding: false,
  bridgeFilter: "on",
  disks: [{ path: "/var/lib/tscompose", freeBytes: 50 * 1024 ** 3, freeInodes: 1e6 }],
  networkProbe: undefined,
};
const problems = (facts: Partial<HostFacts>): string[] =>
  judgeHost({ ...good, ...facts })
    .filter((finding) => finding.severity !== "ok")
    .map((finding) => `${finding.severity} ${finding.check}: ${finding.message} -> ${finding.fix}`);

describe("judging the machine", () => {
  test("a machine with everything has no finding", () => expect(problems({})).toEqual([]));

  test.each<[string, Partial<HostFacts>, string]>([
    ["no root", { uid: 1000 }, "error root: running as user 1000"],
    ["an old kernel", { kernel: "4.19.0-27" }, "error kernel: 4.19.0-27 is older than 5.10"],
    ["no overlayfs", { fileSystems: ["ext4"] }, "sudo modprobe overlay"],
    ["no runtime", { crun: undefined }, "error runtime: neither crun nor runc is installed -> sudo apt-get install"],
    ["an old runtime", { crun: "crun version 1.8.1" }, "warning runtime: crun version 1.8.1 is older than 1.15"],
    ["an old runc alone", { crun: undefined, runc: "runc version 1.1.5+ds1" }, "warning runtime: runc version 1.1.5"],
    ["no conmon", { conmon: undefined }, "error conmon: conmon is not installed -> sudo apt-get install"],
    ["no iptables", { iptables: undefined }, "error iptables: iptables is not installed"],
    ["rules in both backends", { otherBackendHasRules: true }, "warning iptables: iptables v1.8.9 (nf_tables) is used"],
    ["no cgroups", { cgroup: { layout: "none", controllers: [] } }, "error cgroup: no cgroup hierarchy is mounted"],
    [
      "no memory controller",
      { cgroup: { layout: "v2", controllers: ["cpu", "pids"] } },
      "warning cgroup: v2 without memory",
    ],
    ["no seccomp", { seccomp: false }, "error seccomp: the kernel cannot filter system calls"],
    ["no veth", { networkProbe: "EOPNOTSUPP" }, "modprobe -a bridge veth"],
    ["a full disk", { disks: [{ path: "/d", freeBytes: 0, freeInodes: 0 }] }, "error disk /d: 0.0 GiB free"],
    ["a nearly full disk", { disks: [{ path: "/d", freeBytes: 1e8, freeInodes: 9 }] }, "warning disk /d: 0.1 GiB free"],
  ])("%s is one finding with its fix", (_name, facts, text) => {
    const found = problems(facts);
    expect(found).toHaveLength(1);
    expect(found[0]).toContain(text);
  });

  test("versions compare number by number", () => {
    expect(isAtLeast("crun version 1.15", [1, 15])).toBe(true);
    expect(isAtLeast("crun version 1.8.1", [1, 15])).toBe(false);
    expect(isAtLeast("runc version 1.10.0", [1, 3, 6])).toBe(true);
    expect(isAtLeast("2", [1, 15])).toBe(true);
  });
});
