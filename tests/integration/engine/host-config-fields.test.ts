import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { honouredFields } from "../../../src/engine/containers/create/host-config.ts";
import type { ContainerConfig, HostConfig } from "../../../src/engine/types.ts";
import { EngineProcess, until } from "../../support/engine-process.ts";

/** Every HostConfig field: set, and read back inside the container, from the kernel; or refused at create with its name. Those whose
 *  effect is outside of the container have a test of their own below, or say where it is. */

let engine: EngineProcess;
const cdi = mkdtempSync(join(tmpdir(), "cdi-"));
beforeAll(async () => {
  writeFileSync(join(cdi, "devices.json"), JSON.stringify(cdiSpec), { mode: 0o644 });
  engine = await EngineProcess.start({ TSCOMPOSE_CDI_SPEC_DIRS: cdi });
  await engine.run(
    ["sleep", "1000"],
    { NetworkMode: "bridge", IpcMode: "shareable", Binds: ["fields-shared:/shared"] },
    {},
    "neighbour",
  );
});
afterAll(async () => {
  await engine.dispose();
  rmSync(cdi, { recursive: true });
});

/** The kernel's log stands for a device that a container does not have by itself. */
const cdiSpec = {
  cdiVersion: "0.6.0",
  kind: "example.com/log",
  containerEdits: { env: ["CDI_CLASS=log"] },
  devices: [
    {
      name: "kernel",
      containerEdits: {
        env: ["CDI_DEVICE=kernel"],
        deviceNodes: [{ path: "/dev/kernel-log", hostPath: "/dev/kmsg", permissions: "r" }],
        mounts: [{ hostPath: "/etc/hostname", containerPath: "/run/driver/hostname", options: ["ro", "bind"] }],
        additionalGids: [4321],
      },
    },
  ],
};

const cg = "cd /sys/fs/cgroup";
const disk =
  readdirSync("/dev")
    .map((name) => `/dev/${name}`)
    .find((path) => statSync(path, { throwIfNoEntry: false })?.isBlockDevice() === true) ?? "";
const numbers = (): string => {
  const { rdev } = statSync(disk);
  return `${(rdev >> 8) & 0xfff}:${rdev & 0xff}`;
};

interface Row {
  readonly host: HostConfig;
  readonly script: string;
  readonly expected: string | RegExp;
  readonly config?: ContainerConfig;
}
const row = (host: HostConfig, script: string, expected: string | RegExp, config: ContainerConfig = {}): Row => ({
  host,
  script,
  expected,
  config,
});
const bridge = { NetworkMode: "bridge" };

const rows: Readonly<Record<string, Row | { readonly testedIn: string }>> = {
  Binds: row({ Binds: ["/etc:/host-etc:ro"] }, "touch /host-etc/x 2>&1; ls /host-etc/hostname", /ead-only[^]*hostname/),
  ContainerIDFile: { testedIn: "nowhere: it is the client that writes the file" },
  LogConfig: { testedIn: "below, and tests/integration/engine-streams" },
  NetworkMode: row({ NetworkMode: "none" }, "ls /sys/class/net", "lo"),
  PortBindings: { testedIn: "below" },
  PublishAllPorts: { testedIn: "below" },
  RestartPolicy: { testedIn: "lifecycle.test.ts" },
  AutoRemove: { testedIn: "lifecycle.test.ts" },
  VolumeDriver: row({ VolumeDriver: "local", Binds: ["fields-driver:/v"] }, "echo x > /v/f; cat /v/f", "x"),
  VolumesFrom: row({ VolumesFrom: ["neighbour:ro"] }, "touch /shared/x 2>&1", /ead-only/),
  ConsoleSize: row({ ConsoleSize: [33, 77] }, "stty size", "33 77\r", { Tty: true }),
  Annotations: { testedIn: "build-spec: they are for the runtime" },
  CapAdd: { testedIn: "confinement.test.ts, each one" },
  CapDrop: { testedIn: "confinement.test.ts, each one" },
  CgroupnsMode: row({ CgroupnsMode: "private" }, "cut -d: -f3 /proc/self/cgroup | sort -u", "/"),
  Dns: row({ Dns: ["9.9.9.9"] }, "cat /etc/resolv.conf", "nameserver 9.9.9.9"),
  DnsOptions: row({ Dns: ["9.9.9.9"], DnsOptions: ["ndots:7"] }, "grep options /etc/resolv.conf", "options ndots:7"),
  DnsSearch: row({ Dns: ["9.9.9.9"], DnsSearch: ["ex.org"] }, "grep search /etc/resolv.conf", "search ex.org"),
  ExtraHosts: row({ ...bridge, ExtraHosts: ["foo:1.2.3.4"] }, "grep -o '1.2.3.4.foo' /etc/hosts", "1.2.3.4\tfoo"),
  GroupAdd: row({ GroupAdd: ["4242"] }, "id -G", /\b4242\b/),
  IpcMode: row({ IpcMode: "none" }, "mount | grep -c ' /dev/shm '", "0"),
  Links: row({ ...bridge, Links: ["neighbour:alias"] }, "ping -c1 -W2 alias >/dev/null && echo reached", "reached"),
  OomScoreAdj: row({ OomScoreAdj: 321 }, "cat /proc/self/oom_score_adj", "321"),
  PidMode: row({ PidMode: "host" }, "[ $$ -gt 100 ] && echo host", "host"),
  Privileged: row({ Privileged: true }, "grep Seccomp: /proc/self/status | tr -d '\\t'", "Seccomp:0"),
  ReadonlyRootfs: row({ ReadonlyRootfs: true }, "touch /x 2>&1", /ead-only/),
  SecurityOpt: row(
    { SecurityOpt: ["no-new-privileges"] },
    "grep NoNewPrivs /proc/self/status | tr -d '\\t'",
    "NoNewPrivs:1",
  ),
  Tmpfs: row({ Tmpfs: { "/t": "size=1m" } }, "df -k /t | tail -1 | awk '{print $2}'", "1024"),
  UTSMode: row(
    { UTSMode: "host" },
    "[ $(hostname) = $(cat /proc/sys/kernel/hostname) ] && readlink /proc/self/ns/uts | cut -c1-4",
    "uts:",
  ),
  UsernsMode: row({ UsernsMode: "host" }, "cat /proc/self/uid_map | tr -s ' '", " 0 0 4294967295"),
  ShmSize: row({ ShmSize: 1 << 20 }, "df -k /dev/shm | tail -1 | awk '{print $2}'", "1024"),
  Sysctls: row({ Sysctls: { "net.ipv4.ip_default_ttl": "33" } }, "cat /proc/sys/net/ipv4/ip_default_ttl", "33"),
  Runtime: row({ Runtime: "" }, "echo ran", "ran"),
  Isolation: row({ Isolation: "default" }, "echo ran", "ran"),
  Mounts: row(
    { Mounts: [{ Type: "tmpfs", Target: "/m", TmpfsOptions: { SizeBytes: 2 << 20 } }] },
    "df -k /m | tail -1 | awk '{print $2}'",
    "2048",
  ),
  MaskedPaths: row({ MaskedPaths: ["/proc/version"] }, "wc -c < /proc/version; head -c1 /proc/kcore | wc -c", /^0\n/),
  ReadonlyPaths: row({ ReadonlyPaths: ["/tmp"] }, "touch /tmp/x 2>&1", /ead-only/),
  Init: row({ Init: true }, "cat /proc/1/comm", "docker-init"),
  CpuShares: row({ CpuShares: 512 }, `${cg}; cat cpu/cpu.shares`, "512"),
  Memory: row({ Memory: 64 << 20 }, `${cg}; cat memory/memory.limit_in_bytes`, String(64 << 20)),
  NanoCpus: row({ NanoCpus: 250_000_000 }, `${cg}; cat cpu/cpu.cfs_quota_us cpu/cpu.cfs_period_us`, "25000\n100000"),
  CgroupParent: row({ CgroupParent: "/../../own" }, "grep -c '/tscompose-[0-9a-f]*/own/' /proc/self/cgroup", /^[1-9]/),
  BlkioWeight: row({ BlkioWeight: 300 }, `${cg}; cat blkio/blkio.bfq.weight blkio/blkio.weight 2>/dev/null`, /300/),
  BlkioWeightDevice: { testedIn: "below: it depends on the scheduler of the device" },
  BlkioDeviceReadBps: row(
    { BlkioDeviceReadBps: [{ Path: disk, Rate: 1_048_576 }] },
    `${cg}; cat blkio/blkio.throttle.read_bps_device`,
    `${numbers()} 1048576`,
  ),
  BlkioDeviceWriteBps: row(
    { BlkioDeviceWriteBps: [{ Path: disk, Rate: 2_097_152 }] },
    `${cg}; cat blkio/blkio.throttle.write_bps_device`,
    `${numbers()} 2097152`,
  ),
  BlkioDeviceReadIOps: row(
    { BlkioDeviceReadIOps: [{ Path: disk, Rate: 100 }] },
    `${cg}; cat blkio/blkio.throttle.read_iops_device`,
    `${numbers()} 100`,
  ),
  BlkioDeviceWriteIOps: row(
    { BlkioDeviceWriteIOps: [{ Path: disk, Rate: 200 }] },
    `${cg}; cat blkio/blkio.throttle.write_iops_device`,
    `${numbers()} 200`,
  ),
  CpuPeriod: row({ CpuPeriod: 50_000 }, `${cg}; cat cpu/cpu.cfs_period_us`, "50000"),
  CpuQuota: row({ CpuQuota: 30_000 }, `${cg}; cat cpu/cpu.cfs_quota_us`, "30000"),
  CpusetCpus: row({ CpusetCpus: "0" }, "grep Cpus_allowed_list /proc/self/status | cut -f2", "0"),
  CpusetMems: row({ CpusetMems: "0" }, `${cg}; cat cpuset/cpuset.mems`, "0"),
  Devices: row(
    { Devices: [{ PathOnHost: "/dev/kmsg", PathInContainer: "/dev/z", CgroupPermissions: "r" }] },
    "stat -c %t:%T /dev/z; grep -h '1:11' /sys/fs/cgroup/devices/devices.list; (echo > /dev/z) 2>&1",
    /^1:b\nc 1:11 r\n.*permitted/,
  ),
  DeviceCgroupRules: row(
    { DeviceCgroupRules: ["c 1:11 r"] },
    `grep -h '1:11' /sys/fs/cgroup/devices/devices.list`,
    "c 1:11 r",
  ),
  MemoryReservation: row(
    { MemoryReservation: 32 << 20 },
    `${cg}; cat memory/memory.soft_limit_in_bytes`,
    String(32 << 20),
  ),
  MemorySwap: row(
    { Memory: 64 << 20, MemorySwap: 96 << 20 },
    `${cg}; cat memory/memory.memsw.limit_in_bytes`,
    String(96 << 20),
  ),
  MemorySwappiness: row({ MemorySwappiness: 10 }, `${cg}; cat memory/memory.swappiness`, "10"),
  OomKillDisable: row(
    { Memory: 64 << 20, OomKillDisable: true },
    `${cg}; head -1 memory/memory.oom_control`,
    "oom_kill_disable 1",
  ),
  DeviceRequests: row(
    { DeviceRequests: [{ Driver: "cdi", DeviceIDs: ["example.com/log=kernel"] }] },
    "echo $CDI_CLASS $CDI_DEVICE; stat -c %t:%T /dev/kernel-log; grep -h 'c 1:11' /sys/fs/cgroup/devices/devices.list; " +
      "wc -l < /run/driver/hostname; (echo > /run/driver/hostname) 2>&1 | grep -c ead-only; id -G | tr ' ' '\\n' | grep 4321",
    "log kernel\n1:b\nc 1:11 r\n1\n1\n4321",
  ),
  CpuRealtimePeriod: { testedIn: "below: it depends on what the groups above have to give" },
  CpuRealtimeRuntime: { testedIn: "below" },
  StorageOpt: { testedIn: "below, where it is refused; on a file system with project quotas in scenarios/cgroup-v2" },
  PidsLimit: row({ PidsLimit: 33 }, `${cg}; cat pids/pids.max`, "33"),
  Ulimits: row({ Ulimits: [{ Name: "nofile", Soft: 64, Hard: 128 }] }, "ulimit -Sn; ulimit -Hn", "64\n128"),
};

/** Fields that are refused, with a value that somebody might send. */
const refused: Readonly<Record<string, object>> = {
  Cgroup: { Cgroup: "container:neighbour" },
  CpuCount: { CpuCount: 1 },
  CpuPercent: { CpuPercent: 50 },
  IOMaximumIOps: { IOMaximumIOps: 10 },
  IOMaximumBandwidth: { IOMaximumBandwidth: 10 },
  KernelMemory: { KernelMemory: 4 << 20 },
  KernelMemoryTCP: { KernelMemoryTCP: 4 << 20 },
};

/** Of the table in the reference of Docker's API (engine-api.md section 10). */
const documented =
  `Binds ContainerIDFile LogConfig NetworkMode PortBindings RestartPolicy AutoRemove VolumeDriver VolumesFrom
  ConsoleSize Annotations CapAdd CapDrop CgroupnsMode Dns DnsOptions DnsSearch ExtraHosts GroupAdd IpcMode Cgroup Links Memory
  MemoryReservation MemorySwap MemorySwappiness OomKillDisable PidsLimit Ulimits OomScoreAdj PidMode Privileged PublishAllPorts
  ReadonlyRootfs SecurityOpt MaskedPaths ReadonlyPaths StorageOpt Tmpfs UTSMode UsernsMode ShmSize Sysctls Runtime Isolation Init
  CgroupParent CpuShares NanoCpus CpuPeriod CpuQuota CpuRealtimePeriod CpuRealtimeRuntime CpusetCpus CpusetMems CpuCount
  CpuPercent BlkioWeight BlkioWeightDevice BlkioDeviceReadBps BlkioDeviceWriteBps BlkioDeviceReadIOps BlkioDeviceWriteIOps Devices
  DeviceCgroupRules DeviceRequests IOMaximumIOps IOMaximumBandwidth KernelMemory KernelMemoryTCP Mounts`.split(/\s+/);

/** Of the engine's own type. */
function declaredFields(): readonly string[] {
  const source = readFileSync(new URL("../../../src/engine/types.ts", import.meta.url), "utf8");
  return ["Resources", "HostConfig"].flatMap((name) => {
    const [, body = ""] = new RegExp(`interface ${name}[^{]*\\{\\n((?:  .*\\n)+)\\}`).exec(source) ?? [];
    return [...body.matchAll(/^ {2}readonly (\w+)\?:/gm)].map(([, field = ""]) => field);
  });
}

test("every field of Docker's API and of the engine's type has a row, and each row is honoured or refused", () => {
  const all = new Set([...Object.keys(rows), ...Object.keys(refused)]);
  expect(documented.length).toBeGreaterThan(70);
  expect(documented.filter((field) => !all.has(field))).toEqual([]);
  expect(declaredFields().length).toBeGreaterThan(65);
  expect(declaredFields().filter((field) => !all.has(field))).toEqual([]);
  expect(Object.keys(rows).toSorted()).toEqual([...honouredFields].toSorted());
});

test("a size of the root is refused where the file system has no project quotas, with the reason and what to do", async () => {
  const wish = engine.create(["true"], { StorageOpt: { size: "1g" } });
  await expect(wish).rejects.toThrow(/HostConfig.StorageOpt cannot be applied: the \w+ of \S+ \(.*\) .*project quotas/);
});

test.each(Object.entries(refused))("%s is refused at create, by its name", async (field, host) => {
  await expect(engine.create(["true"], host)).rejects.toThrow(`HostConfig.${field}`);
});

test("a field that Docker does not know either is left alone, as with Docker", async () => {
  const id = await engine.create(["true"], { Futuristic: ["x"] } as object);
  await engine.docker.getContainer(id).remove();
});

describe("set, and read back inside", () => {
  const tested = Object.entries(rows).filter((entry): entry is [string, Row] => "script" in entry[1]);
  test.each(tested)("%s", async (_field, { host, script, expected, config }) => {
    const tty = config?.Tty === true;
    const id = await engine.run(["sh", "-c", script], host, config ?? {});
    const container = engine.docker.getContainer(id);
    await container.wait();
    const log = await container.logs({ stdout: true, stderr: true });
    const text = tty ? log.toString() : withoutFrames(log);
    await container.remove({ force: true, v: true });
    if (expected instanceof RegExp) expect(text).toMatch(expected);
    else expect(text.replace(/\n$/, "")).toBe(expected);
  });
});

function withoutFrames(data: Buffer): string {
  let text = "";
  for (let at = 0; at + 8 <= data.length; at += 8 + data.readUInt32BE(at + 4)) {
    text += data.toString("utf8", at + 8, at + 8 + data.readUInt32BE(at + 4));
  }
  return text;
}

test("ports that are published answer on the host, those of all exposed ones too", async () => {
  const serve = ["sh", "-c", "mkdir /w; echo hello > /w/index.html; exec httpd -f -p 80 -h /w"];
  const exposed = { ExposedPorts: { "80/tcp": {} } };
  for (const host of [
    { PortBindings: { "80/tcp": [{ HostIp: "127.0.0.1", HostPort: "" }] } },
    { PublishAllPorts: true },
  ]) {
    const id = await engine.run(serve, { ...bridge, ...host }, exposed);
    const { Ports } = (await engine.inspect(id)).NetworkSettings;
    const port = Number(Ports["80/tcp"]?.[0]?.HostPort);
    expect(port).toBeGreaterThan(0);
    await until(() => reachable(port));
    await engine.docker.getContainer(id).remove({ force: true });
    expect(await reachable(port)).toBe(false);
  }
});

describe("device requests", () => {
  const create = (request: object): Promise<string> => engine.create(["true"], { DeviceRequests: [request] } as object);
  test("for a CDI device that is not described name it, and what is known", async () => {
    const failure = create({ Driver: "cdi", DeviceIDs: ["example.com/log=other"] });
    await expect(failure).rejects.toThrow(
      "unresolvable CDI devices example.com/log=other (known: example.com/log=kernel)",
    );
  });
  test("for GPUs where there are none say so in Docker's words", async () => {
    await expect(create({ Count: -1, Capabilities: [["gpu"]] })).rejects.toThrow(
      'could not select device driver "" with capabilities: [[gpu]]',
    );
  });
  test("do not follow a file that others can write", async () => {
    writeFileSync(join(cdi, "open.json"), JSON.stringify({ ...cdiSpec, kind: "example.com/open" }), { mode: 0o666 });
    try {
      execFileSync("chmod", ["666", join(cdi, "open.json")]);
      const failure = create({ Driver: "cdi", DeviceIDs: ["example.com/open=kernel"] });
      await expect(failure).rejects.toThrow("open.json: it must belong to root");
    } finally {
      rmSync(join(cdi, "open.json"));
    }
  });
  test("do not mount where a symlink of the image leads into /proc", async () => {
    const id = await engine.run(["sh", "-c", "mkdir -p /run; ln -s /proc/sys /run/driver"]);
    await engine.docker.getContainer(id).wait();
    await engine.docker.getContainer(id).commit({ repo: "leading" });
    await engine.docker.getContainer(id).remove();
    const host = { DeviceRequests: [{ Driver: "cdi", DeviceIDs: ["example.com/log=kernel"] }] };
    const led = engine.docker.getContainer(await engine.create(["true"], host, { Image: "leading" }));
    await expect(led.start()).rejects.toThrow(
      "the image leads the mount destination /run/driver/hostname to /proc/sys/hostname",
    );
    await led.remove();
    await engine.docker.getImage("leading").remove();
  });
  test("for GPUs get the devices that a vendor describes, as many as were asked for", async () => {
    const device = (name: string): object => ({ name, containerEdits: { env: [`GPU_${name}=yes`] } });
    const gpus = { cdiVersion: "0.6.0", kind: "nvidia.com/gpu", devices: ["0", "1", "all"].map(device) };
    mkdirSync(cdi, { recursive: true });
    writeFileSync(join(cdi, "nvidia.yaml"), JSON.stringify(gpus), { mode: 0o644 });
    try {
      const seen = async (request: object): Promise<string> => {
        const host = { DeviceRequests: [{ Capabilities: [["gpu"]], ...request }] };
        return (await engine.finish(["sh", "-c", "env | grep ^GPU_ | sort | tr '\\n' ' '"], host)).out.trim();
      };
      expect(await seen({ Count: -1 })).toBe("GPU_all=yes");
      expect(await seen({ Count: 2 })).toBe("GPU_0=yes GPU_1=yes");
      expect(await seen({ Driver: "nvidia", DeviceIDs: ["1"] })).toBe("GPU_1=yes");
      await expect(seen({ Count: 3 })).rejects.toThrow("3 devices of nvidia.com/gpu are asked for, 2 are there");
    } finally {
      rmSync(join(cdi, "nvidia.yaml"));
    }
  });
});

test("real-time is given from what the groups above have, or refused naming the controller", async () => {
  const host = { CpuRealtimePeriod: 500_000, CpuRealtimeRuntime: 5000 };
  const budget = Number(readFileSync("/sys/fs/cgroup/cpu/cpu.rt_runtime_us", "latin1"));
  const result = engine.finish(["sh", "-c", `${cg}/cpu; cat cpu.rt_period_us cpu.rt_runtime_us`], host);
  if (budget > 0) expect((await result).out).toBe("500000\n5000\n");
  else await expect(result).rejects.toThrow(/HostConfig.CpuRealtimeRuntime.*controller cpu/);
  await expect(engine.create(["true"], { CpuRealtimePeriod: 1000, CpuRealtimeRuntime: 2000 })).rejects.toThrow(
    "higher than",
  );
});

test("a weight for a device is set, or refused by name where its scheduler has none", async () => {
  const read = `${cg}; cat blkio/blkio.bfq.weight_device blkio/blkio.weight_device 2>/dev/null`;
  const host = { BlkioWeightDevice: [{ Path: disk, Weight: 400 }] };
  const result = await engine.finish(["sh", "-c", read], host).then(({ out }) => out, String);
  expect(result).toMatch(/ 400\n|HostConfig.BlkioWeightDevice cannot be applied/);
});

test("a log driver of none keeps nothing", async () => {
  const id = await engine.run(["echo", "hi"], { LogConfig: { Type: "none" } });
  await engine.docker.getContainer(id).wait();
  await expect(engine.docker.getContainer(id).logs({ stdout: true })).rejects.toThrow("does not support reading");
  await engine.docker.getContainer(id).remove();
});

function reachable(port: number): Promise<boolean> {
  return new Promise((done) => {
    const socket = connect(port, "127.0.0.1");
    socket.once("connect", () => done(true));
    socket.once("error", () => done(false));
    socket.once("connect", () => socket.destroy());
  });
}
