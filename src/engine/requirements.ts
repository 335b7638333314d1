/** Judges the machine: facts in, findings out. Pure. A finding of severity "error" means that the engine cannot run here. */
import type { HostFacts } from "../host/facts.ts";

export interface Finding {
  readonly check: string;
  readonly severity: "ok" | "warning" | "error";
  readonly message: string;
  /** What to do: a command or a sentence. */
  readonly fix?: string;
}

/** Source of the version floors: the runtimes' own advisories; see `security` in ARCHITECTURE.md. */
const runtimeFloors = { crun: [1, 15], runc: [1, 3, 6] } as const;
const minimumKernel = [5, 10] as const;
const minimumDataBytes = 1024 ** 3;
/** Sockets, locks and a log. */
const minimumRunBytes = 16 * 1024 ** 2;

export function judgeHost(facts: HostFacts): readonly Finding[] {
  return [
    root(facts),
    kernel(facts),
    namespaces(facts),
    overlay(facts),
    seccomp(facts),
    cgroup(facts),
    runtime(facts),
    program(facts, "conmon"),
    unshare(facts),
    iptables(facts),
    network(facts),
    forwarding(facts),
    ...facts.disks.map((disk, index) => space(disk, index === 0 ? minimumDataBytes : minimumRunBytes)),
  ];
}

const ok = (check: string, message: string): Finding => ({ check, severity: "ok", message });
const install = (name: string): string => `sudo apt-get install --no-install-recommends ${name}`;

/** Compares the first dotted number in a text with a floor, component by component. */
export function isAtLeast(text: string, floor: readonly number[]): boolean {
  const found = /(\d+(?:\.\d+)*)/.exec(text)?.[1]?.split(".").map(Number) ?? [];
  for (const [index, wanted] of floor.entries()) {
    const have = found[index] ?? 0;
    if (have !== wanted) return have > wanted;
  }
  return true;
}

function root(facts: HostFacts): Finding {
  if (facts.uid === 0) return ok("root", "running as root");
  return {
    check: "root",
    severity: "error",
    message: `running as user ${facts.uid}; the engine makes namespaces, mounts and firewall rules`,
    fix: "run the command with sudo",
  };
}

function kernel(facts: HostFacts): Finding {
  if (isAtLeast(facts.kernel, minimumKernel)) return ok("kernel", facts.kernel);
  return {
    check: "kernel",
    severity: "error",
    message: `${facts.kernel} is older than ${minimumKernel.join(".")} (openat2, pidfd and close_range are needed)`,
    fix: "install a newer kernel",
  };
}

function namespaces(facts: HostFacts): Finding {
  const missing = ["net", "mnt", "pid", "ipc", "uts"].filter((name) => !facts.namespaces.includes(name));
  if (missing.length === 0) return ok("namespaces", facts.namespaces.join(" "));
  return {
    check: "namespaces",
    severity: "error",
    message: `the kernel has no ${missing.join(", ")} namespaces`,
    fix: "use a kernel built with CONFIG_NAMESPACES and the namespaces named",
  };
}

function overlay(facts: HostFacts): Finding {
  if (facts.fileSystems.includes("overlay")) return ok("overlayfs", "available");
  return { check: "overlayfs", severity: "error", message: "overlayfs is not available", fix: "sudo modprobe overlay" };
}

function seccomp(facts: HostFacts): Finding {
  if (facts.seccomp) return ok("seccomp", facts.appArmor ? "available; AppArmor is on" : "available; AppArmor is off");
  return {
    check: "seccomp",
    severity: "error",
    message: "the kernel cannot filter system calls",
    fix: "use a kernel built with CONFIG_SECCOMP_FILTER",
  };
}

function cgroup(facts: HostFacts): Finding {
  const { layout, controllers } = facts.cgroup;
  const missing = ["memory", "pids", "cpu"].filter((name) => !controllers.includes(name));
  if (layout === "none") {
    return {
      check: "cgroup",
      severity: "error",
      message: "no cgroup hierarchy is mounted",
      fix: "sudo mount -t cgroup2 none /sys/fs/cgroup",
    };
  }
  if (missing.length === 0) return ok("cgroup", `${layout}: ${controllers.join(" ")}`);
  return {
    check: "cgroup",
    severity: "warning",
    message: `${layout} without ${missing.join(", ")}: limits that need them will be refused`,
    fix: "boot with cgroup_enable=memory, or enable the controllers in cgroup.subtree_control",
  };
}

function runtime(facts: HostFacts): Finding {
  const name = facts.crun === undefined ? "runc" : "crun";
  const version = facts[name];
  if (version === undefined) {
    return { check: "runtime", severity: "error", message: "neither crun nor runc is installed", fix: install("crun") };
  }
  if (isAtLeast(version, runtimeFloors[name])) return ok("runtime", version);
  return {
    check: "runtime",
    severity: "warning",
    message: `${version} is older than ${runtimeFloors[name].join(".")}; the engine guards against the holes known in it`,
    fix: `upgrade ${name} when your distribution has a newer one`,
  };
}

function program(facts: HostFacts, name: "conmon"): Finding {
  const version = facts[name];
  if (version !== undefined) return ok(name, version);
  return { check: name, severity: "error", message: `${name} is not installed`, fix: install(name) };
}

function unshare(facts: HostFacts): Finding {
  if (facts.unshare !== undefined) return ok("unshare", facts.unshare);
  return { check: "unshare", severity: "error", message: "unshare is not installed", fix: install("util-linux") };
}

function iptables(facts: HostFacts): Finding {
  if (facts.iptables === undefined || facts.ip6tables === undefined) {
    return { check: "iptables", severity: "error", message: "iptables is not installed", fix: install("iptables") };
  }
  if (!facts.otherBackendHasRules) return ok("iptables", facts.iptables);
  return {
    check: "iptables",
    severity: "warning",
    message: `${facts.iptables} is used here, but the other backend holds rules too; packets pass both`,
    fix: "move the rules to one backend (update-alternatives --config iptables)",
  };
}

function network(facts: HostFacts): Finding {
  if (facts.networkProbe === undefined) return ok("network", "bridges and veth pairs can be made");
  return {
    check: "network",
    severity: "error",
    message: `a bridge with a veth pair cannot be made: ${facts.networkProbe}`,
    fix: "sudo modprobe -a bridge veth",
  };
}

function forwarding(facts: HostFacts): Finding {
  return ok("forwarding", facts.forwarding ? "on" : "off; the engine turns it on with its first network");
}

function space(disk: HostFacts["disks"][number], wanted: number): Finding {
  const check = `disk ${disk.path}`;
  const free = `${(disk.freeBytes / 1024 ** 3).toFixed(1)} GiB free`;
  // Some file systems (btrfs) count no inodes and report 0 free of 0.
  if (disk.freeBytes >= wanted) return ok(check, free);
  return {
    check,
    severity: disk.freeBytes === 0 ? "error" : "warning",
    message: free,
    fix: "free some space, or set TSCOMPOSE_DATA_ROOT and TSCOMPOSE_RUN_ROOT to bigger file systems",
  };
}
