/** An audit that cannot fail proves nothing: one leak of each kind is planted and must be named. */
import { execFileSync, spawnSync } from "node:child_process";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  rmdirSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { compareSnapshots, type LeakKind, leaksSince, takeSnapshot } from "../../support/leak-audit.ts";

const scratch = mkdtempSync(join(tmpdir(), "audit-"));
afterAll(() => rmSync(scratch, { recursive: true, force: true }));

const sh = (command: string): string => execFileSync("sh", ["-c", command], { encoding: "utf8" }).trim();
/** Starts a process that outlives its parent, as a leaked one does; returns how to end it. `command` makes the file $READY when it
 *  is what it is to be. */
function orphan(command: string): () => void {
  const file = join(scratch, `pid-${Math.random().toString(36).slice(2)}`);
  const ready = `${file}.ready`;
  spawnSync("sh", ["-c", `setsid sh -c 'echo $$ > ${file}; exec ${command}' < /dev/null > /dev/null 2>&1 &`], {
    env: { ...process.env, READY: ready },
  });
  const deadline = performance.now() + 20_000;
  while (!existsSync(ready) && performance.now() < deadline) spawnSync("sleep", ["0.01"]);
  const pid = Number(readFileSync(file, "utf8"));
  return () => {
    try {
      process.kill(pid, "SIGKILL");
    } catch {
      return;
    }
  };
}
const idle = '/bin/sh -c "touch \\$READY; exec sleep 60"';
/** Plants with a command, removes with another. */
const planted = (plant: string, remove: string) => () => {
  sh(plant);
  return () => void sh(remove);
};
const listener = (python: string) => () =>
  orphan(`python3 -c "${python}; import os,time; open(os.environ[\\"READY\\"],\\"w\\"); time.sleep(60)"`);
const cgroup = (path: string) => () => {
  mkdirSync(path);
  return () => rmdirSync(path);
};
const hasLegacy = spawnSync("iptables-legacy", ["-S"]).status === 0 && existsSync("/proc/net/ip_tables_names");
const v1 = ["cpu", "memory", "pids", "devices"].filter((name) => existsSync(`/sys/fs/cgroup/${name}/tasks`));
const v2 = ["/sys/fs/cgroup", "/sys/fs/cgroup/unified"].filter((path) => existsSync(`${path}/cgroup.procs`));

const leaks: readonly (readonly [string, LeakKind, () => () => void])[] = [
  ["a named network namespace", "netns", planted("ip netns add audit0", "ip netns del audit0")],
  ["a network namespace held by a process", "netns", () => orphan(`unshare -n ${idle}`)],
  ["a mount namespace held by a process", "mount-namespace", () => orphan(`unshare -m ${idle}`)],

  ["a bridge", "link", planted("ip link add audit0 type bridge", "ip link del audit0")],
  ["a veth pair", "link", planted("ip link add audit0 type veth peer name audit1", "ip link del audit0")],
  [
    "a permanent forwarding entry",
    "fdb",
    () => {
      sh(
        "ip link add audit0 type bridge && ip link add audit1 type veth peer name audit2 && ip link set audit1 master audit0",
      );
      sh(
        "bridge fdb add 02:00:00:00:00:77 dev audit1 master static permanent 2>/dev/null || bridge fdb add 02:00:00:00:00:77 dev audit1 master permanent",
      );
      return () => void sh("ip link del audit1; ip link del audit0");
    },
  ],
  ["an address", "address", planted("ip addr add 10.255.255.9/32 dev lo", "ip addr del 10.255.255.9/32 dev lo")],
  ["an IPv6 address", "address", planted("ip addr add fd00:a:d::9/128 dev lo", "ip addr del fd00:a:d::9/128 dev lo")],
  ["a route", "route", planted("ip route add blackhole 10.255.255.8/32", "ip route del blackhole 10.255.255.8/32")],
  [
    "a routing rule",
    "rule",
    planted("ip rule add from 10.255.255.8 table 77", "ip rule del from 10.255.255.8 table 77"),
  ],
  [
    "an iptables rule",
    "iptables",
    planted("iptables -A FORWARD -s 10.255.255.8 -j DROP", "iptables -D FORWARD -s 10.255.255.8 -j DROP"),
  ],
  ["an iptables chain", "iptables", planted("iptables -t nat -N PLANTED", "iptables -t nat -X PLANTED")],
  [
    "a raw rule",
    "iptables",
    planted(
      "iptables -t raw -A PREROUTING -s 10.255.255.8 -j DROP",
      "iptables -t raw -D PREROUTING -s 10.255.255.8 -j DROP",
    ),
  ],
  ["a policy", "iptables", planted("iptables -P FORWARD DROP", "iptables -P FORWARD ACCEPT")],
  [
    "an ip6tables rule",
    "iptables",
    planted("ip6tables -A FORWARD -s fd00:a:d::8 -j DROP", "ip6tables -D FORWARD -s fd00:a:d::8 -j DROP"),
  ],
  [
    "an ebtables rule",
    "ebtables",
    planted("ebtables -A FORWARD -s 02:00:00:00:00:77 -j DROP", "ebtables -D FORWARD -s 02:00:00:00:00:77 -j DROP"),
  ],
  ["an nftables table", "nftables", planted("nft add table inet audit", "nft delete table inet audit")],
  [
    "a changed sysctl",
    "sysctl",
    () => {
      const path = "/proc/sys/net/ipv4/conf/default/route_localnet";
      const before = readFileSync(path, "utf8");
      writeFileSync(path, before.trim() === "1" ? "0" : "1");
      return () => writeFileSync(path, before);
    },
  ],
  [
    "a mount",
    "mount",
    planted(`mkdir ${scratch}/m && mount -t tmpfs audit ${scratch}/m`, `umount ${scratch}/m && rmdir ${scratch}/m`),
  ],
  ...v1.map((name) => [`a ${name} cgroup`, "cgroup", cgroup(`/sys/fs/cgroup/${name}/audit0`)] as const),
  ...v2.map((path) => [`a cgroup under ${path}`, "cgroup", cgroup(`${path}/audit0`)] as const),
  ["an orphaned process", "process", () => orphan(idle)],
  ["a TCP listener", "socket", listener('import socket; s=socket.socket(); s.bind((\\"127.0.0.1\\",0)); s.listen()')],
  [
    "a UDP socket",
    "socket",
    listener('import socket; s=socket.socket(socket.AF_INET,socket.SOCK_DGRAM); s.bind((\\"127.0.0.1\\",0))'),
  ],
  [
    "a Unix listener",
    "socket",
    listener(`import socket; s=socket.socket(socket.AF_UNIX); s.bind(\\"${scratch}/s\\"); s.listen()`),
  ],
  [
    "an abstract listener",
    "socket",
    listener('import socket; s=socket.socket(socket.AF_UNIX); s.bind(chr(0)+\\"audit\\"); s.listen()'),
  ],
  [
    "a System V shared memory segment",
    "ipc",
    () => {
      const id = /(\d+)\s*$/.exec(sh("ipcmk -M 4096"))?.[1];
      return () => void sh(`ipcrm -m ${id}`);
    },
  ],
  ["a POSIX shared memory file", "shm", planted("touch /dev/shm/audit0", "rm /dev/shm/audit0")],
  [
    "a file in the run root",
    "file",
    planted(`mkdir ${scratch}/run && touch ${scratch}/run/lock`, `rm -r ${scratch}/run`),
  ],
  ["a temporary folder of ours", "file", planted("mkdir /tmp/tscompose-audit", "rmdir /tmp/tscompose-audit")],
  ...(hasLegacy
    ? [
        [
          "a legacy iptables rule",
          "iptables",
          planted(
            "iptables-legacy -A FORWARD -s 10.255.255.8 -j DROP",
            "iptables-legacy -D FORWARD -s 10.255.255.8 -j DROP",
          ),
        ] as const,
      ]
    : []),
  ...(existsSync("/dev/loop-control")
    ? [
        [
          "a loop device",
          "loop-device",
          () => {
            const device = sh(`truncate -s 1M ${scratch}/disk && losetup -f --show ${scratch}/disk`);
            return () => void sh(`losetup -d ${device}; rm ${scratch}/disk`);
          },
        ] as const,
      ]
    : []),
];

describe("the leak audit", () => {
  test("finds nothing when nothing was left", async () => {
    const before = await takeSnapshot([scratch]);
    expect(await leaksSince(before, { directories: [scratch] })).toEqual([]);
  });

  test("looks at enough kinds of things to mean something", async () => {
    const kinds = new Set(leaks.map(([, kind]) => kind));
    expect(leaks.length).toBeGreaterThanOrEqual(25);
    expect([...(await takeSnapshot()).keys()].filter((kind) => !kinds.has(kind) && kind !== "conntrack")).toEqual(
      existsSync("/dev/loop-control") ? [] : ["loop-device"],
    );
    expect(readdirSync("/proc").length).toBeGreaterThan(0);
  });

  test.each(leaks)("names %s", async (_name, kind, plant) => {
    const before = await takeSnapshot([scratch]);
    const remove = plant();
    try {
      const found = compareSnapshots(before, await takeSnapshot([scratch]));
      expect(found.map((leak) => leak.kind)).toContain(kind);
    } finally {
      remove();
    }
  });
});
