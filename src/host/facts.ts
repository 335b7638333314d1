/** What this machine offers a container engine, read without changing anything. In: nothing but the two roots. Out: plain
 *  data; judging it is `engine/requirements.ts`. */
import { existsSync, readFileSync, readdirSync, statfsSync } from "node:fs";
import { dirname, join } from "node:path";
import { errorMessage } from "../errors.ts";
import { childEnvironment, runCommand } from "./command.ts";

export type CgroupLayout = "v1" | "hybrid" | "v2" | "none";

export interface HostFacts {
  readonly uid: number;
  readonly kernel: string;
  /** Of /proc/self/ns: `net`, `mnt`, `pid`, ... */
  readonly namespaces: readonly string[];
  readonly fileSystems: readonly string[];
  readonly cgroup: { readonly layout: CgroupLayout; readonly controllers: readonly string[] };
  readonly seccomp: boolean;
  readonly appArmor: boolean;
  /** First line of `--version`; undefined: not installed. */
  readonly crun: string | undefined;
  readonly runc: string | undefined;
  readonly conmon: string | undefined;
  readonly iptables: string | undefined;
  readonly ip6tables: string | undefined;
  readonly unshare: string | undefined;
  /** Rules of the backend that `iptables` does not use: the two together are a trap. */
  readonly otherBackendHasRules: boolean;
  readonly forwarding: boolean;
  readonly bridgeFilter: "on" | "off" | "absent";
  /** Of the data root, then of the run root. */
  readonly disks: readonly { readonly path: string; readonly freeBytes: number; readonly freeInodes: number }[];
  /** Why a network namespace, bridge or veth pair cannot be made; undefined: they can, or it was not tried (no root). */
  readonly networkProbe: string | undefined;
}

/** @param probeNetwork makes a bridge and a veth pair in a throwaway namespace; throws where the kernel cannot */
export async function readHostFacts(
  roots: { readonly dataRoot: string; readonly runRoot: string },
  probeNetwork: () => void | Promise<void>,
): Promise<HostFacts> {
  const uid = process.getuid?.() ?? 0;
  const [crun, runc, conmon, iptables, ip6tables, unshare] = await Promise.all(
    ["crun", "runc", "conmon", "iptables", "ip6tables", "unshare"].map((program) => versionOf(program)),
  );
  return {
    uid,
    kernel: read("/proc/sys/kernel/osrelease"),
    namespaces: list("/proc/self/ns"),
    fileSystems: read("/proc/filesystems").split(/\s+/),
    cgroup: readCgroupLayout(),
    seccomp: existsSync("/proc/sys/kernel/seccomp/actions_avail"),
    appArmor: read("/sys/module/apparmor/parameters/enabled") === "Y",
    crun,
    runc,
    conmon,
    iptables,
    ip6tables,
    unshare,
    otherBackendHasRules: uid === 0 && iptables !== undefined && (await otherBackendHasRules(iptables)),
    forwarding: read("/proc/sys/net/ipv4/ip_forward") === "1",
    bridgeFilter: bridgeFilter(),
    disks: [roots.dataRoot, roots.runRoot].map(disk),
    networkProbe: uid === 0 ? await attempt(probeNetwork) : undefined,
  };
}

function readCgroupLayout(): HostFacts["cgroup"] {
  const v2 = read("/sys/fs/cgroup/cgroup.controllers");
  if (existsSync("/sys/fs/cgroup/cgroup.controllers"))
    return { layout: "v2", controllers: v2.split(" ").filter(Boolean) };
  const controllers = read("/proc/self/cgroup")
    .split("\n")
    .flatMap((line) => line.split(":")[1]?.split(",") ?? [])
    .filter((name) => name !== "" && !name.startsWith("name="))
    .filter((name) => existsSync(join("/sys/fs/cgroup", name)));
  if (controllers.length === 0) return { layout: "none", controllers };
  return { layout: existsSync("/sys/fs/cgroup/unified/cgroup.procs") ? "hybrid" : "v1", controllers };
}

async function otherBackendHasRules(iptables: string): Promise<boolean> {
  const program = iptables.includes("nf_tables") ? "iptables-legacy-save" : "iptables-nft-save";
  // Asking the legacy program would load its tables; without them there are no rules.
  if (program === "iptables-legacy-save" && read("/proc/net/ip_tables_names") === "") return false;
  try {
    return /^-A /m.test((await runCommand([program])).stdout.toString());
  } catch {
    return false;
  }
}

function bridgeFilter(): HostFacts["bridgeFilter"] {
  const value = read("/proc/sys/net/bridge/bridge-nf-call-iptables");
  if (value === "") return "absent";
  return value === "1" ? "on" : "off";
}

/** Space for a path that may not exist yet: that of its nearest ancestor. */
function disk(path: string): HostFacts["disks"][number] {
  let at = path;
  while (!existsSync(at) && at !== dirname(at)) at = dirname(at);
  const stat = statfsSync(at);
  return { path, freeBytes: stat.bavail * stat.bsize, freeInodes: stat.ffree };
}

async function versionOf(program: string): Promise<string | undefined> {
  if (!isInstalled(program)) return undefined;
  try {
    const { stdout } = await runCommand([program, "--version"], { timeoutMs: 10_000 });
    return stdout.toString("utf8").split("\n", 1)[0]?.trim() ?? "";
  } catch (error) {
    return `${program} does not run: ${errorMessage(error)}`;
  }
}

function isInstalled(program: string): boolean {
  return (childEnvironment["PATH"] ?? "").split(":").some((directory) => existsSync(join(directory, program)));
}

async function attempt(action: () => void | Promise<void>): Promise<string | undefined> {
  try {
    await action();
    return undefined;
  } catch (error) {
    return errorMessage(error);
  }
}

function read(path: string): string {
  try {
    return readFileSync(path, "utf8").trim();
  } catch {
    return "";
  }
}

function list(path: string): readonly string[] {
  try {
    return readdirSync(path);
  } catch {
    return [];
  }
}
