import { describe, expect, test } from "vitest";
import { checkHostConfig, normaliseHostConfig } from "../../../../src/engine/containers/create/host-config.ts";
import type { HostConfig } from "../../../../src/engine/types.ts";
import { hostProfile } from "./fixtures.ts";

const context = { host: hostProfile(), runtimes: ["crun", "runc"] };
const check = (config: HostConfig, host = hostProfile()): readonly string[] => {
  const own = { ...context, host };
  return checkHostConfig(normaliseHostConfig(config, own), own);
};

test("what a plain docker CLI sends is accepted and filled in as Docker does", () => {
  const sent = JSON.parse(
    '{"Binds":null,"ContainerIDFile":"","LogConfig":{"Type":"","Config":{}},"NetworkMode":"default","PortBindings":{},"RestartPolicy":{"Name":"no","MaximumRetryCount":0},"AutoRemove":false,"VolumeDriver":"","VolumesFrom":null,"ConsoleSize":[0,0],"CapAdd":null,"CapDrop":null,"CgroupnsMode":"","Dns":[],"DnsOptions":[],"DnsSearch":[],"ExtraHosts":null,"GroupAdd":null,"IpcMode":"","Cgroup":"","Links":null,"OomScoreAdj":0,"PidMode":"","Privileged":false,"PublishAllPorts":false,"ReadonlyRootfs":false,"SecurityOpt":null,"UTSMode":"","UsernsMode":"","ShmSize":0,"Isolation":"","CpuShares":0,"Memory":0,"NanoCpus":0,"CgroupParent":"","BlkioWeight":0,"BlkioWeightDevice":[],"BlkioDeviceReadBps":[],"BlkioDeviceWriteBps":[],"BlkioDeviceReadIOps":[],"BlkioDeviceWriteIOps":[],"CpuPeriod":0,"CpuQuota":0,"CpuRealtimePeriod":0,"CpuRealtimeRuntime":0,"CpusetCpus":"","CpusetMems":"","Devices":[],"DeviceCgroupRules":null,"DeviceRequests":null,"MemoryReservation":0,"MemorySwap":0,"MemorySwappiness":-1,"OomKillDisable":false,"PidsLimit":0,"Ulimits":[],"CpuCount":0,"CpuPercent":0,"IOMaximumIOps":0,"IOMaximumBandwidth":0,"MaskedPaths":null,"ReadonlyPaths":null}',
  ) as HostConfig;
  expect(check(sent)).toEqual([]);
  const config = normaliseHostConfig(sent, context);
  expect(config).toMatchObject({
    NetworkMode: "bridge",
    ShmSize: 67_108_864,
    IpcMode: "private",
    CgroupnsMode: "host",
    LogConfig: { Type: "json-file" },
    MemorySwappiness: null,
    PidsLimit: null,
    Runtime: "crun",
    MaskedPaths: ["/proc/kcore"],
    RestartPolicy: { Name: "no", MaximumRetryCount: 0 },
  });
  expect(normaliseHostConfig({ Memory: 64 << 20 }, context).MemorySwap).toBe(128 << 20);
});

describe("each field is honoured or refused by its name", () => {
  test.each<[string, HostConfig]>([
    ["StorageOpt", { StorageOpt: { size: "10 apples" } }],
    ["StorageOpt", { StorageOpt: { colour: "red" } }],
    ["Cgroup", { Cgroup: "container:x" }],
    ["UsernsMode", { UsernsMode: "remap" }],
    ["CpuCount", { CpuCount: 2 }],
    ["IOMaximumBandwidth", { IOMaximumBandwidth: 1 }],
    ["KernelMemory", { KernelMemory: 4096 } as HostConfig],
  ])("%s", (field, config) => {
    expect(() => check(config)).toThrow(field);
  });
});

describe("limits", () => {
  test.each<[HostConfig, string]>([
    [{ Memory: 1024 }, "Minimum memory limit allowed is 6MB"],
    [{ Memory: 2 ** 53 }, "below 2^53"],
    [{ Memory: 64 << 20, MemorySwap: 32 << 20 }, "Minimum memoryswap limit"],
    [{ MemorySwap: 32 << 20 }, "always set the Memory limit"],
    [{ Memory: 64 << 20, MemoryReservation: 128 << 20 }, "memory reservation limit"],
    [{ NanoCpus: 3e9 }, "range of CPUs is from 0.01 to 2.00"],
    [{ NanoCpus: 1e9, CpuQuota: 1000 }, "Nano CPUs and CPU Quota"],
    [{ CpuPeriod: 10 }, "CPU cfs period"],
    [{ CpusetCpus: "0-7" }, "Requested CPUs are not available"],
    [{ CpusetCpus: "a" }, "Invalid value a for cpuset"],
    [{ BlkioWeight: 5 }, "blkio weight"],
    [{ OomScoreAdj: 2000 }, "oom score adj"],
    [{ Ulimits: [{ Name: "nope", Soft: 1, Hard: 1 }] }, "invalid ulimit type"],
    [{ Ulimits: [{ Name: "nofile", Soft: 2, Hard: 1 }] }, "soft limit must be less"],
    [{ CgroupParent: "a b\n" }, "invalid cgroup parent"],
  ])("%j is refused", (config, message) => {
    expect(() => check(config)).toThrow(message);
  });

  test("one that the host cannot apply names the controller", () => {
    const cgroup = { ...hostProfile().cgroup, controllers: new Map() };
    expect(() => check({ Memory: 64 << 20 }, hostProfile({ cgroup }))).toThrow(
      "cgroup controller memory is not available",
    );
    expect(() => check({ PidsLimit: 10 }, hostProfile({ cgroup }))).toThrow("cgroup controller pids is not available");
  });

  test("what only cgroup version 1 has is refused on version 2", () => {
    const cgroup = { ...hostProfile().cgroup, version: 2 as const };
    expect(() => check({ MemorySwappiness: 10 }, hostProfile({ cgroup }))).toThrow(
      "cgroup version 2 has no such limit",
    );
    expect(check({ MemorySwappiness: -1, OomKillDisable: false }, hostProfile({ cgroup }))).toEqual([]);
  });

  test("a ulimit above what the engine itself may have is refused, not lowered in silence", () => {
    const host = hostProfile({ hardLimits: { RLIMIT_NOFILE: 20_000 } });
    expect(() => check({ Ulimits: [{ Name: "nofile", Soft: 30_000, Hard: 30_000 }] }, host)).toThrow("20000");
  });
});

describe("what would reach the host is refused", () => {
  test.each<[HostConfig, string]>([
    [{ Sysctls: { "kernel.core_pattern": "|/x" } }, "kernel.core_pattern"],
    [{ Sysctls: { "net.ipv4.ip_forward/../../../kernel/x": "1" } }, "malformed"],
    [{ Sysctls: { "net.ipv4.ip_forward": "1" }, NetworkMode: "host" }, "host network namespace"],
    [{ Sysctls: { "kernel.shmmax": "1" }, IpcMode: "host" }, "host ipc namespace"],
    [{ Runtime: "../../bin/sh" }, "unknown or invalid runtime name"],
    [{ SecurityOpt: ["nope=1"] }, "invalid --security-opt"],
    [{ SecurityOpt: ["seccomp={"] }, "invalid seccomp profile"],
    [{ SecurityOpt: ["apparmor=strict"] }, "this kernel has no AppArmor"],
    [{ SecurityOpt: ["label=type:x_t"] }, "this kernel has no SELinux"],
    [{ CapAdd: ["NOPE"] }, "unknown capability"],
    [{ IpcMode: "nope" }, "invalid IpcMode: nope"],
    [{ PidMode: "container:" }, "invalid PidMode"],
    [{ ExtraHosts: ["a b:1.2.3.4"] }, "bad format for add-host"],
    [{ ExtraHosts: ["a:1.2.3.4\n6.6.6.6 bank"] }, "bad format for add-host"],
    [{ DeviceCgroupRules: ["c 1:3"] }, "invalid device cgroup format"],
    [{ GroupAdd: ["4294967295"] }, "must be in range"],
    [{ LogConfig: { Type: "journald" } }, "journald"],
    [
      { RestartPolicy: { Name: "always" }, AutoRemove: true },
      "can't create 'AutoRemove' container with restart policy",
    ],
    [{ RestartPolicy: { Name: "sometimes" as "always" } }, "unknown policy 'sometimes'"],
    [{ Annotations: { "run.oci.seccomp_bpf_data": "AAAA" } }, "an order to the OCI runtime"],
  ])("%j", (config, message) => {
    expect(() => check(config)).toThrow(message);
  });
  test("init without an init program names the package", () => {
    expect(() => check({ Init: true }, hostProfile({ initProgram: undefined }))).toThrow("no static init program");
  });
});
