import { describe, expect, test } from "vitest";
import { buildSpec, type SpecInput } from "../../../../src/engine/runtime/build-spec.ts";
import { noCdi } from "../../../../src/engine/runtime/cdi/cdi-plan.ts";
import { planDevices } from "../../../../src/engine/runtime/devices.ts";
import { rlimits, specText } from "../../../../src/engine/runtime/rlimits.ts";
import type { RuntimeSpec } from "../../../../src/engine/runtime/spec-types.ts";
import type { ContainerConfig, HostConfig } from "../../../../src/engine/types.ts";
import { hostProfile, record } from "../containers/fixtures.ts";

function build(
  config: ContainerConfig = {},
  hostConfig: HostConfig = {},
  change: Partial<SpecInput> = {},
): RuntimeSpec {
  const base = record();
  return buildSpec({
    record: record({ config: { ...base.config, ...config }, hostConfig: { ShmSize: 67_108_864, ...hostConfig } }),
    host: hostProfile(),
    rootfs: "/root",
    cgroup: { specified: "/tscompose-x/a", annotations: {} },
    user: { uid: 0, gid: 0, additionalGids: [], home: "/root" },
    namespaces: { network: "/proc/1/fd/9", ipc: "new", pid: "new", uts: "new", cgroup: "host", user: "host" },
    devices: planDevices({ privileged: false, devices: [], rules: [] }),
    cdi: noCdi,
    userNamespace: undefined,
    deviceNumbers: new Map(),
    files: [{ source: "/h", destination: "/etc/hosts", readOnly: false }],
    mounts: [],
    sharedMemory: undefined,
    sysctls: {},
    ...change,
  });
}

test("the default container is confined as the specification of this engine says", () => {
  const spec = build();
  expect(spec.process).toMatchObject({
    terminal: false,
    user: { uid: 0, gid: 0 },
    args: ["sleep", "1000"],
    cwd: "/",
    noNewPrivileges: false,
    env: ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOSTNAME=aaaaaaaaaaaa", "HOME=/root"],
  });
  expect(spec.process.capabilities.inheritable).toEqual([]);
  expect(spec.process.capabilities.ambient).toEqual([]);
  expect(spec.process.capabilities.bounding).toHaveLength(14);
  expect(spec.mounts.map(({ destination, type, options }) => `${destination} ${type} ${options.join(",")}`)).toEqual([
    "/proc proc nosuid,noexec,nodev",
    "/dev tmpfs nosuid,strictatime,mode=755,size=65536k",
    "/dev/pts devpts nosuid,noexec,newinstance,ptmxmode=0666,mode=0620,gid=5",
    "/sys sysfs nosuid,noexec,nodev,ro",
    "/sys/fs/cgroup cgroup nosuid,noexec,nodev,ro",
    "/dev/mqueue mqueue nosuid,noexec,nodev",
    "/dev/shm tmpfs nosuid,noexec,nodev,mode=1777,size=67108864",
    "/etc/hosts bind bind,rprivate,rw",
  ]);
  expect(spec.linux.namespaces.map(({ type }) => type)).toEqual(["mount", "network", "uts", "pid", "ipc"]);
  expect(spec.linux.maskedPaths).toEqual(["/proc/kcore"]);
  expect(spec.linux.readonlyPaths).toEqual(["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"]);
  expect(spec.linux.seccomp?.defaultAction).toBe("SCMP_ACT_ERRNO");
  expect(spec.linux.resources.pids).toEqual({ limit: 4096 });
  expect(spec.linux.resources.devices?.[0]).toEqual({ allow: false, access: "rwm" });
  expect(spec.linux.resources.devices?.at(-1)).toEqual({
    allow: false,
    type: "c",
    major: 10,
    minor: 229,
    access: "rwm",
  });
  expect(spec.linux.rootfsPropagation).toBe("rprivate");
});

test("privileged takes the confinement away, and nothing else does", () => {
  const spec = build({}, { Privileged: true });
  expect(spec.linux.maskedPaths).toEqual([]);
  expect(spec.linux.readonlyPaths).toEqual([]);
  expect(spec.linux.seccomp).toBeUndefined();
  expect(spec.process.capabilities.effective).toHaveLength(41);
  expect(spec.mounts.filter(({ options }) => options.includes("ro"))).toEqual([]);
});

describe("the process", () => {
  test("that is not root holds no capabilities, and keeps the bounding set", () => {
    const { capabilities } = build({}, {}, { user: { uid: 1000, gid: 1000, additionalGids: [5], home: "/" } }).process;
    expect(capabilities.effective).toEqual([]);
    expect(capabilities.permitted).toEqual([]);
    expect(capabilities.bounding).toHaveLength(14);
  });
  test("takes its environment over the defaults; a name without a value takes nothing", () => {
    const { env } = build({ Tty: true, Env: ["PATH=/x", "HOME=/h", "TERM", "A=1=2", "=bad"] }).process;
    expect(env).toEqual(["PATH=/x", "HOSTNAME=aaaaaaaaaaaa", "HOME=/h", "A=1=2"]);
  });
  test("is the child of the init program when that is asked for", () => {
    expect(build({}, { Init: true }).process.args).toEqual(["/sbin/docker-init", "--", "sleep", "1000"]);
  });
  test("cannot gain privileges with no-new-privileges", () => {
    expect(build({}, { SecurityOpt: ["no-new-privileges"] }).process.noNewPrivileges).toBe(true);
  });
});

test("a read-only root makes the engine's own files read-only too", () => {
  const spec = build({}, { ReadonlyRootfs: true });
  expect(spec.root.readonly).toBe(true);
  expect(spec.mounts.find(({ destination }) => destination === "/etc/hosts")?.options).toContain("ro");
});

test("a mount of the user's takes the place of a standard one", () => {
  const mount = {
    Type: "tmpfs",
    Source: "",
    Destination: "/dev/shm",
    Mode: "",
    RW: true,
    Propagation: "",
    anonymous: false,
    options: ["size=1m", "rw"],
    copyUp: false,
  } as const;
  const spec = build({}, {}, { mounts: [mount] });
  expect(spec.mounts.filter(({ destination }) => destination === "/dev/shm")).toEqual([
    { destination: "/dev/shm", type: "tmpfs", source: "tmpfs", options: ["size=1m", "rw"] },
  ]);
});

test("limits go into the specification in the kernel's units", () => {
  const { resources } = build(
    {},
    {
      Memory: 64 << 20,
      MemorySwap: -1,
      NanoCpus: 500_000_000,
      CpuShares: 512,
      CpusetCpus: "0",
      PidsLimit: -1,
      BlkioWeight: 300,
    },
  ).linux;
  expect(resources.memory).toEqual({ limit: 64 << 20, swap: -1 });
  expect(resources.cpu).toEqual({ shares: 512, quota: 50_000, period: 100_000, cpus: "0" });
  expect(resources.pids).toEqual({ limit: -1 });
  // On version 1 the engine writes the weight itself: the file's name depends on the kernel.
  expect(resources.blockIO).toBeUndefined();
  const cgroup = { ...hostProfile().cgroup, version: 2 as const };
  const onVersion2 = build({}, { BlkioWeight: 300 }, { host: hostProfile({ cgroup }) });
  expect(onVersion2.linux.resources.blockIO).toEqual({ weight: 300 });
});

describe("resource limits of the process", () => {
  test("are always there, and bounded by what the engine may give", () => {
    expect(rlimits([], { RLIMIT_NOFILE: 20_000, RLIMIT_NPROC: 900 })).toEqual([
      { type: "RLIMIT_NOFILE", soft: 1024, hard: 20_000 },
      { type: "RLIMIT_NPROC", soft: 900, hard: 900 },
    ]);
  });
  test("without bound are written as the 64-bit number that the kernel means", () => {
    const text = specText({ rlimits: rlimits([{ Name: "core", Soft: -1, Hard: -1 }], {}) });
    expect(text).toContain('{"type":"RLIMIT_CORE","soft":18446744073709551615,"hard":18446744073709551615}');
    expect(text).not.toContain("18446744073709552000");
  });
});

test("a device of the user's is made in the container and allowed", () => {
  const plan = planDevices({
    privileged: false,
    devices: [{ PathOnHost: "/dev/null", PathInContainer: "/dev/xnull", CgroupPermissions: "rw" }],
    rules: ["c 42:* rwm"],
  });
  expect(plan.nodes).toMatchObject([{ path: "/dev/xnull", type: "c", major: 1, minor: 3 }]);
  expect(plan.rules.slice(-2)).toEqual([
    { allow: true, type: "c", major: 1, minor: 3, access: "rw" },
    { allow: true, type: "c", major: 42, access: "rwm" },
  ]);
  const missing = { PathOnHost: "/dev/nope", PathInContainer: "/dev/nope", CgroupPermissions: "rwm" };
  expect(() => planDevices({ privileged: false, devices: [missing], rules: [] })).toThrow("/dev/nope");
});
