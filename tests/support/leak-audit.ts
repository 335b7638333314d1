/** What the machine holds that an engine could have left behind: one list of strings a kind, before and after, and the
 *  difference. Pass = empty difference. Counters, lifetimes and interface numbers are left out, and so are the processes
 *  of the test run itself. Source: the project's leak-audit table (namespaces, links, addresses, routes, firewall, mounts,
 *  cgroups, processes, sockets, IPC, loop devices, files). */
import { execFile } from "node:child_process";
import { existsSync, readdirSync, readFileSync, readlinkSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";

const run = promisify(execFile);

export type LeakKind =
  | "netns"
  | "mount-namespace"
  | "link"
  | "fdb"
  | "address"
  | "route"
  | "rule"
  | "iptables"
  | "ebtables"
  | "nftables"
  | "conntrack"
  | "sysctl"
  | "mount"
  | "cgroup"
  | "process"
  | "socket"
  | "ipc"
  | "shm"
  | "loop-device"
  | "file";

export type Snapshot = ReadonlyMap<LeakKind, ReadonlySet<string>>;
export interface Leak {
  readonly kind: LeakKind;
  readonly change: "appeared" | "vanished";
  readonly what: string;
}

/** @param directories whose files count too: run roots and data roots that must be gone or unchanged. */
export async function takeSnapshot(directories: readonly string[] = []): Promise<Snapshot> {
  // One list of processes for all kinds, read before the programs below are started.
  const all = allProcesses();
  const ours = unattended(all, testFamily(all));
  const lists: Record<LeakKind, readonly string[] | Promise<readonly string[]>> = {
    netns: [...names("/run/netns"), ...namespaceInodes("net", ours)],
    "mount-namespace": namespaceInodes("mnt", ours),
    link: links(),
    fdb: fdb(),
    address: addresses(),
    route: routes(),
    rule: rules(),
    iptables: iptables(),
    ebtables: saved(["ebtables-save"]),
    nftables: nftables(),
    conntrack: conntrack(),
    sysctl: sysctls(),
    mount: mounts(),
    cgroup: cgroups(),
    process: processes(ours),
    socket: sockets(new Set(ours.map((one) => one.pid))),
    ipc: ["shm", "sem", "msg"].flatMap((kind) => sysvIpc(kind)),
    shm: names("/dev/shm"),
    "loop-device": loopDevices(),
    file: [
      ...directories.flatMap((directory) => tree(directory)),
      ...names("/tmp").filter((path) => path.startsWith("/tmp/tscompose")),
      ...names("/run").filter((path) => path.startsWith("/run/tscompose")),
    ],
  };
  const entries = Object.entries(lists) as [LeakKind, readonly string[] | Promise<readonly string[]>][];
  return new Map(await Promise.all(entries.map(async ([kind, list]) => [kind, new Set(await list)] as const)));
}

/** Everything that differs; a process or socket that vanished is nobody's leak. */
export function compareSnapshots(before: Snapshot, after: Snapshot): readonly Leak[] {
  const leaks: Leak[] = [];
  const mayVanish: ReadonlySet<LeakKind> = new Set([
    "process",
    "socket",
    "conntrack",
    "netns",
    "mount-namespace",
    "shm",
  ]);
  for (const [kind, now] of after) {
    const then = before.get(kind) ?? new Set();
    for (const what of now) if (!then.has(what)) leaks.push({ kind, change: "appeared", what });
    if (mayVanish.has(kind)) continue;
    for (const what of then) if (!now.has(what)) leaks.push({ kind, change: "vanished", what });
  }
  return leaks;
}

/** Polls until nothing differs from `before`: the kernel frees namespaces and cgroups a moment after their last process.
 *  @returns what still differs at the deadline */
export async function leaksSince(
  before: Snapshot,
  options: { readonly directories?: readonly string[]; readonly settleMs?: number } = {},
): Promise<readonly Leak[]> {
  const deadline = performance.now() + (options.settleMs ?? 3000);
  for (;;) {
    const leaks = compareSnapshots(before, await takeSnapshot(options.directories));
    if (leaks.length === 0 || performance.now() > deadline) return leaks;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

function names(directory: string): string[] {
  try {
    return readdirSync(directory).map((name) => join(directory, name));
  } catch {
    return [];
  }
}

function text(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return "";
  }
}

const lines = (value: string): string[] => value.split("\n").filter((line) => line.trim() !== "");

async function output(argv: readonly string[]): Promise<string> {
  const [file = "", ...args] = argv;
  try {
    return (await run(file, args, { maxBuffer: 64 * 1024 * 1024 })).stdout;
  } catch (error) {
    if (typeof error === "object" && error !== null && "code" in error && error.code === "ENOENT") return "";
    throw error;
  }
}

async function json(argv: readonly string[]): Promise<readonly Record<string, unknown>[]> {
  const answer = await output(argv);
  return answer.trim() === "" ? [] : (JSON.parse(answer) as Record<string, unknown>[]);
}

const show = (object: Record<string, unknown>, keys: readonly string[]): string =>
  keys
    .filter((key) => object[key] !== undefined)
    .map((key) => `${key}=${JSON.stringify(object[key])}`)
    .join(" ");

async function links(): Promise<readonly string[]> {
  return (await json(["ip", "-j", "-d", "link"])).map((link) => show(link, ["ifname", "link_type", "master"]));
}
async function fdb(): Promise<readonly string[]> {
  const entries = await json(["bridge", "-j", "fdb"]);
  return entries
    .filter((entry) => entry["state"] === "permanent")
    .map((entry) => show(entry, ["mac", "ifname", "vlan"]));
}
async function addresses(): Promise<readonly string[]> {
  const found = await json(["ip", "-j", "addr"]);
  return found.flatMap((link) =>
    ((link["addr_info"] ?? []) as Record<string, unknown>[]).map(
      (address) => `${String(link["ifname"])} ${String(address["local"])}/${String(address["prefixlen"])}`,
    ),
  );
}
async function routes(): Promise<readonly string[]> {
  const both = await Promise.all(
    ["-4", "-6"].map((family) => json(["ip", "-j", family, "route", "show", "table", "all"])),
  );
  return both.flat().map((route) => show(route, ["type", "dst", "gateway", "dev", "table", "prefsrc", "metric"]));
}
async function rules(): Promise<readonly string[]> {
  const both = await Promise.all(["-4", "-6"].map((family) => json(["ip", "-j", family, "rule"])));
  return both.flat().map((rule) => JSON.stringify(rule));
}

/** Rules, chains of anybody's own, and policies other than ACCEPT; empty tables come into being by looking at them. */
async function saved(argv: readonly string[]): Promise<readonly string[]> {
  let table = "";
  return lines(await output(argv)).flatMap((line) => {
    if (line.startsWith("*")) table = line.slice(1);
    if (line.startsWith("-A")) return [`${argv[0]} ${table} ${line}`];
    const chain = /^:(\S+) (\S+)/.exec(line);
    return chain !== null && chain[2] !== "ACCEPT" ? [`${argv[0]} ${table} chain ${chain[1]} ${chain[2]}`] : [];
  });
}
async function iptables(): Promise<readonly string[]> {
  const legacy = [
    ...(text("/proc/net/ip_tables_names").trim() === "" ? [] : ["iptables-legacy-save"]),
    ...(text("/proc/net/ip6_tables_names").trim() === "" ? [] : ["ip6tables-legacy-save"]),
  ];
  const programs = ["iptables-nft-save", "ip6tables-nft-save", ...legacy];
  return (await Promise.all(programs.map((program) => saved([program])))).flat();
}
/** Tables that are not the ones iptables-nft and ebtables-nft make; those are read above. */
async function nftables(): Promise<readonly string[]> {
  return lines(await output(["nft", "list", "tables"])).filter(
    (line) => !/^table (ip|ip6|bridge|arp) (filter|nat|mangle|raw|security|broute)$/.test(line),
  );
}
/** Established flows through private addresses: one that outlives its container sends packets to the next. */
function conntrack(): readonly string[] {
  return lines(text("/proc/net/nf_conntrack"))
    .filter(
      (line) => line.includes("ESTABLISHED") && /(src|dst)=(10\.|172\.(1[6-9]|2\d|3[01])\.|192\.168\.)/.test(line),
    )
    .map((line) => line.replace(/^(\S+\s+\S+\s+\S+\s+\S+)\s+\d+/, "$1").replace(/(packets|bytes|use)=\d+/g, ""));
}
function sysctls(): readonly string[] {
  const keys = [
    "net/ipv4/ip_forward",
    "net/ipv4/conf/all/route_localnet",
    "net/ipv4/conf/default/route_localnet",
    "net/ipv4/conf/all/rp_filter",
    "net/ipv6/conf/all/forwarding",
    "net/ipv6/conf/all/accept_ra",
    "net/bridge/bridge-nf-call-iptables",
    "net/bridge/bridge-nf-call-ip6tables",
    "kernel/core_pattern",
  ];
  return keys
    .filter((key) => existsSync(`/proc/sys/${key}`))
    .map((key) => `${key} = ${text(`/proc/sys/${key}`).trim()}`);
}
function mounts(): readonly string[] {
  return lines(text("/proc/self/mountinfo")).map((line) => {
    const [before = "", after = ""] = line.split(" - ");
    const fields = before.split(" ");
    return `${fields[4]} (${fields[3]}) ${after.split(" ").slice(0, 2).join(" ")}`;
  });
}
function cgroups(directory = "/sys/fs/cgroup", depth = 0): readonly string[] {
  if (depth > 6) return [];
  try {
    return readdirSync(directory, { withFileTypes: true })
      .filter((entry) => entry.isDirectory())
      .flatMap((entry) => {
        const path = join(directory, entry.name);
        return [path, ...cgroups(path, depth + 1)];
      });
  } catch {
    return [];
  }
}

interface ProcessInfo {
  readonly pid: number;
  readonly parent: number;
  readonly state: string;
  readonly command: string;
  readonly started: string;
}
function allProcesses(): readonly ProcessInfo[] {
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .flatMap((name) => {
      const stat = text(`/proc/${name}/stat`);
      if (stat === "") return [];
      const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
      const args = text(`/proc/${name}/cmdline`).replaceAll("\0", " ").trim();
      const command = args === "" ? stat.slice(stat.indexOf("("), stat.lastIndexOf(")") + 1) : args;
      const info = { pid: Number(name), parent: Number(fields[1]), state: fields[0] ?? "", command };
      return [{ ...info, started: fields[19] ?? "" }];
    });
}
/** The test run: this process, its ancestors, and all their descendants but those of init. */
function testFamily(all: readonly ProcessInfo[]): ReadonlySet<number> {
  const parents = new Map(all.map((one) => [one.pid, one.parent]));
  const family = new Set<number>();
  for (let pid = process.pid; pid > 1; pid = parents.get(pid) ?? 0) family.add(pid);
  for (let grown = true; grown;) {
    grown = false;
    for (const one of all) {
      if (family.has(one.pid) || !family.has(one.parent)) continue;
      family.add(one.pid);
      grown = true;
    }
  }
  return family;
}
/** Processes that nobody waits for: children of init, those in namespaces of their own, and what they started. What a shell or
 *  a service of this machine starts meanwhile is not ours. */
function unattended(all: readonly ProcessInfo[], family: ReadonlySet<number>): readonly ProcessInfo[] {
  const home = namespacesOf(process.pid);
  const found = new Set<number>();
  const candidates = all.filter((one) => one.pid > 2 && one.parent !== 2 && !family.has(one.pid));
  for (const one of candidates) if (one.parent <= 1 || namespacesOf(one.pid) !== home) found.add(one.pid);
  for (let grown = true; grown;) {
    grown = false;
    for (const one of candidates) {
      if (found.has(one.pid) || !found.has(one.parent)) continue;
      found.add(one.pid);
      grown = true;
    }
  }
  return candidates.filter((one) => found.has(one.pid));
}
function namespacesOf(pid: number): string {
  try {
    return ["net", "mnt", "pid", "ipc"].map((kind) => readlinkSync(`/proc/${pid}/ns/${kind}`)).join();
  } catch {
    return "";
  }
}
function processes(ours: readonly ProcessInfo[]): readonly string[] {
  return ours.map((one) => `${one.pid}@${one.started} ${one.state === "Z" ? "zombie " : ""}${one.command}`);
}
/** Namespaces in which such a process lives. */
function namespaceInodes(kind: "net" | "mnt", ours: readonly ProcessInfo[]): readonly string[] {
  const found = new Set<string>();
  for (const { pid } of ours) {
    try {
      found.add(readlinkSync(`/proc/${pid}/ns/${kind}`));
    } catch {
      continue; // it has ended meanwhile
    }
  }
  return [...found];
}
/** Sockets of such processes, and those that no process has. */
async function sockets(ours: ReadonlySet<number>): Promise<readonly string[]> {
  return lines(await output(["ss", "-Hlxtunp"])).flatMap((line) => {
    const owners = [...line.matchAll(/pid=(\d+)/g)].map((match) => Number(match[1]));
    if (owners.length > 0 && !owners.some((pid) => ours.has(pid))) return [];
    const fields = line.split(/\s+/);
    return [`${fields[0]} ${fields[4]}${fields[0]?.startsWith("u_") === true ? "" : ` ${fields[5]}`}`];
  });
}
function sysvIpc(kind: string): readonly string[] {
  return lines(text(`/proc/sysvipc/${kind}`))
    .slice(1)
    .map((line) => `${kind} ${line.trim().split(/\s+/).slice(0, 3).join(" ")}`);
}
function loopDevices(): readonly string[] {
  return names("/sys/block")
    .filter((path) => existsSync(join(path, "loop/backing_file")))
    .map((path) => `${path} ${text(join(path, "loop/backing_file")).trim()}`);
}
function tree(directory: string): readonly string[] {
  try {
    return readdirSync(directory, { recursive: true, withFileTypes: true }).map((entry) =>
      join(entry.parentPath, entry.name),
    );
  } catch {
    return [];
  }
}
