/** What this machine lets containers have, read once when the engine starts. */
import { existsSync, readFileSync } from "node:fs";
import { cpus } from "node:os";
import { join } from "node:path";
import { readCgroupMounts, type CgroupMounts } from "../../host/cgroup.ts";
import { defaultCdiDirectories } from "./cdi/cdi-registry.ts";
import { chooseCgroupDriver, type CgroupDriver } from "./cgroup-driver.ts";
import { cpuThrottlePath, maskedPaths } from "./confined-paths.ts";

export interface HostProfile {
  /** Node's `process.arch`. */
  readonly arch: string;
  /** Bit n: the engine holds capability n and can hand it on. */
  readonly capabilities: bigint;
  /** The most that a container's limits can be, by OCI name (`RLIMIT_NOFILE`); absent: no bound. */
  readonly hardLimits: Readonly<Record<string, number>>;
  readonly cgroup: CgroupMounts;
  readonly cgroupDriver: CgroupDriver;
  /** Version 1, and a kernel that shares real-time out by groups. */
  readonly realtimeGroups: boolean;
  readonly appArmor: boolean;
  /** The program that loads profiles is installed. */
  readonly appArmorParser: boolean;
  readonly selinux: boolean;
  readonly maskedPaths: readonly string[];
  /** A small static init for `init: true`; undefined: none is installed. */
  readonly initProgram: string | undefined;
  readonly cpuCount: number;
  readonly memoryBytes: number;
  readonly swapTotalBytes: number;
  /** Where specifications of CDI devices are, the one that wins last. */
  readonly cdiDirectories: readonly string[];
}

const CAP_SYS_RESOURCE = 24n;

/** @throws request/invalid, host/unsupported for a cgroup driver that this host does not have */
export function readHostProfile(wishes: {
  readonly cdiDirectories?: readonly string[] | undefined;
  readonly cgroupDriver?: string | undefined;
}): HostProfile {
  const status = readFileSync("/proc/self/status", "latin1");
  const capabilities = BigInt(`0x${field(status, /^CapBnd:\s*([0-9a-f]+)/m) ?? "0"}`);
  const canRaiseLimits = ((capabilities >> CAP_SYS_RESOURCE) & 1n) === 1n;
  const memory = readFileSync("/proc/meminfo", "latin1");
  const cgroup = readCgroupMounts();
  return {
    arch: process.arch,
    capabilities,
    hardLimits: canRaiseLimits
      ? { RLIMIT_NOFILE: Number(read("/proc/sys/fs/nr_open")) || 1_048_576 }
      : readHardLimits(readFileSync("/proc/self/limits", "latin1")),
    cgroup,
    cgroupDriver: chooseCgroupDriver(cgroup, wishes.cgroupDriver),
    realtimeGroups: existsSync(join(cgroup.controllers.get("cpu") ?? "/nonexistent", "cpu.rt_runtime_us")),
    appArmor: read("/sys/module/apparmor/parameters/enabled").startsWith("Y"),
    appArmorParser: ["/sbin", "/usr/sbin"].some((directory) => existsSync(join(directory, "apparmor_parser"))),
    selinux: existsSync("/sys/fs/selinux/enforce"),
    maskedPaths: [...maskedPaths, ...cpus().map((_, index) => cpuThrottlePath(index))].filter((path) =>
      existsSync(path),
    ),
    initProgram: initPrograms.find((path) => existsSync(path)),
    cpuCount: cpus().length,
    memoryBytes: Number(field(memory, /^MemTotal:\s*(\d+)/m) ?? 0) * 1024,
    swapTotalBytes: Number(field(memory, /^SwapTotal:\s*(\d+)/m) ?? 0) * 1024,
    cdiDirectories: wishes.cdiDirectories ?? defaultCdiDirectories,
  };
}

/** All of them statically linked: they run on the container's root. */
const initPrograms = [
  "/usr/bin/tini-static",
  "/usr/libexec/docker/docker-init",
  "/usr/bin/catatonit",
  "/usr/libexec/catatonit/catatonit",
  "/usr/libexec/podman/catatonit",
];

/** Names in /proc/<pid>/limits. Source: proc(5). */
const limitNames: Readonly<Record<string, string>> = {
  "Max cpu time": "RLIMIT_CPU",
  "Max file size": "RLIMIT_FSIZE",
  "Max data size": "RLIMIT_DATA",
  "Max stack size": "RLIMIT_STACK",
  "Max core file size": "RLIMIT_CORE",
  "Max resident set": "RLIMIT_RSS",
  "Max processes": "RLIMIT_NPROC",
  "Max open files": "RLIMIT_NOFILE",
  "Max locked memory": "RLIMIT_MEMLOCK",
  "Max address space": "RLIMIT_AS",
  "Max file locks": "RLIMIT_LOCKS",
  "Max pending signals": "RLIMIT_SIGPENDING",
  "Max msgqueue size": "RLIMIT_MSGQUEUE",
  "Max nice priority": "RLIMIT_NICE",
  "Max realtime priority": "RLIMIT_RTPRIO",
  "Max realtime timeout": "RLIMIT_RTTIME",
};

export function readHardLimits(text: string): Readonly<Record<string, number>> {
  const limits: Record<string, number> = {};
  for (const line of text.split("\n")) {
    const match = /^(.{20,26}?)\s{2,}\S+\s+(\d+|unlimited)/.exec(line);
    const name = match === null ? undefined : limitNames[match[1]?.trim() ?? ""];
    if (name !== undefined) limits[name] = match?.[2] === "unlimited" ? Infinity : Number(match?.[2]);
  }
  return limits;
}

function field(text: string, pattern: RegExp): string | undefined {
  return pattern.exec(text)?.[1];
}

function read(path: string): string {
  try {
    return readFileSync(path, "latin1");
  } catch {
    return "";
  }
}
