import { readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { HostConfig } from "../../../src/engine/types.ts";
import { EngineProcess, until } from "../../support/engine-process.ts";

/** Limits that bite, measured by the container itself; and what `inspect` says of them is what the kernel has. On cgroup version 2
 *  the same is measured by tests/scenarios/cgroup-v2.job.sh. */

let engine: EngineProcess;
beforeAll(async () => {
  engine = await EngineProcess.start();
});
afterAll(async () => {
  await engine.dispose();
});

async function out(script: string, host: HostConfig): Promise<string> {
  const { out: text, err } = await engine.finish(["sh", "-c", script], host);
  return `${text}${err}`.trim();
}
const disk =
  readdirSync("/dev")
    .map((name) => `/dev/${name}`)
    .find(
      (path) => statSync(path, { throwIfNoEntry: false })?.isBlockDevice() === true && /\/(vd|sd|nvme)/.test(path),
    ) ?? "";
/** Hundredths of a second that `script` takes, by the container's clock. */
const timed = (script: string): string =>
  `now() { tr -d . < /proc/uptime | cut -d' ' -f1; }; a=$(now); ${script}; echo $(($(now) - a))`;

describe("a limit of", () => {
  test("processor time holds a busy loop back", async () => {
    const script = `while :; do :; done & sleep 2; cut -d' ' -f14 /proc/$!/stat; kill $!;
      cat /sys/fs/cgroup/cpu/cpu.stat /sys/fs/cgroup/cpu.stat 2>/dev/null | sed -n 's/^nr_throttled //p'`;
    const [ticks = 0, throttled = 0] = (await out(script, { NanoCpus: 200_000_000 })).split("\n").map(Number);
    expect(ticks).toBeGreaterThan(0);
    expect(ticks).toBeLessThan(80); // of 200, and 40 are its share
    expect(throttled).toBeGreaterThan(0);
  });

  test("memory ends who goes beyond it, and nobody else", async () => {
    const limit = 32 << 20;
    const script = `(head -c 100m /dev/zero | tail > /dev/null) 2>&1; echo "ended $?";
      cat /sys/fs/cgroup/memory/memory.max_usage_in_bytes /sys/fs/cgroup/memory.peak 2>/dev/null`;
    const text = await out(script, { Memory: limit, MemorySwap: limit });
    const [, code, peak] = /ended (\d+)\n(\d+)$/.exec(text) ?? [];
    expect(code).toBe("137");
    expect(Number(peak)).toBeGreaterThan(limit / 2);
    expect(Number(peak)).toBeLessThanOrEqual(limit);
  });

  test("processes refuses the next one", async () => {
    const script = "i=0; while [ $i -lt 30 ]; do sleep 5 & i=$((i+1)); done 2>&1; ls -d /proc/[0-9]* | wc -l";
    const text = await out(`(${script}) 2>&1; kill -9 -1`, { PidsLimit: 12 });
    expect(text).toMatch(/can't fork|Resource temporarily unavailable/);
  });

  test("writing slows a writer down", async () => {
    const write = "dd if=/dev/zero of=/f bs=64k count=64 conv=fsync 2> /dev/null";
    const free = Number(await out(timed(write), {}));
    const host = { BlkioDeviceWriteBps: [{ Path: disk, Rate: 2 << 20 }] };
    const limited = Number(await out(timed(write), host));
    expect(limited).toBeGreaterThanOrEqual(150); // 4 MiB at 2 MiB a second
    expect(free).toBeLessThan(limited);
  });

  test("write operations slows them down", async () => {
    const write = "i=0; while [ $i -lt 6 ]; do echo $i > /f$i; sync -d /f$i; i=$((i+1)); done";
    const host = { BlkioDeviceWriteIOps: [{ Path: disk, Rate: 5 }] };
    expect(Number(await out(timed(write), host))).toBeGreaterThanOrEqual(80); // 6 and more at 5 a second
  });
});

/** TSCOMPOSE_OOMS: how often (100 at full size). Source: reliability.md REL-30. */
test("each one that has died for lack of memory says so, with an event, and takes nobody along", async () => {
  const rounds = Number(process.env["TSCOMPOSE_OOMS"] ?? 3);
  const { events, stop } = engine.record();
  const neighbour = await engine.run(["sleep", "1000"]);
  const limit = 32 << 20;
  for (let round = 0; round < rounds; round++) {
    const id = await engine.run(["tail", "/dev/zero"], { Memory: limit, MemorySwap: limit });
    await engine.docker.getContainer(id).wait();
    const { OOMKilled, ExitCode } = (await engine.inspect(id)).State;
    expect({ OOMKilled, ExitCode }).toEqual({ OOMKilled: true, ExitCode: 137 });
    await until(() => events.some(({ Action, Actor }) => Action === "oom" && Actor.ID === id));
    await engine.docker.getContainer(id).remove();
  }
  stop();
  expect((await engine.inspect(neighbour)).State.Running).toBe(true);
  await engine.docker.getContainer(neighbour).remove({ force: true });
}, 300_000);

describe("update of a container that runs", () => {
  test("changes what bites, and inspect says what the kernel has, whoever changed it", async () => {
    const id = await engine.run(["sleep", "1000"], { Memory: 64 << 20, PidsLimit: 50, CpuShares: 512 });
    const container = engine.docker.getContainer(id);
    await container.update({ PidsLimit: 20, CpuQuota: 30_000, CpuPeriod: 100_000, CpusetCpus: "0" });
    const group = (controller: string): string => {
      const line = readFileSync(`/proc/${pid}/cgroup`, "utf8").split("\n");
      const path = line.find((entry) => entry.split(":")[1]?.split(",").includes(controller))?.split(":")[2] ?? "";
      return `/sys/fs/cgroup/${controller}${path}`;
    };
    const pid = (await engine.inspect(id)).State.Pid;
    const read = (controller: string, file: string): string =>
      readFileSync(`${group(controller)}/${file}`, "utf8").trim();
    expect(read("pids", "pids.max")).toBe("20");
    expect(read("cpu", "cpu.cfs_quota_us")).toBe("30000");
    expect(read("cpuset", "cpuset.cpus")).toBe("0");
    const asked = (await engine.inspect(id)).HostConfig;
    expect(asked).toMatchObject({
      PidsLimit: 20,
      CpuQuota: 30_000,
      CpuPeriod: 100_000,
      CpusetCpus: "0",
      CpuShares: 512,
    });

    writeFileSync(`${group("pids")}/pids.max`, "33");
    writeFileSync(`${group("cpu")}/cpu.cfs_quota_us`, "40000");
    writeFileSync(`${group("memory")}/memory.limit_in_bytes`, String(48 << 20));
    expect((await engine.inspect(id)).HostConfig).toMatchObject({
      PidsLimit: 33,
      CpuQuota: 40_000,
      Memory: 48 << 20,
      CpuShares: 512,
    });
    await container.remove({ force: true });
  });

  test("changes the rates of single devices, frees those left out, and inspect reads them back", async () => {
    const host = { BlkioDeviceWriteBps: [{ Path: disk, Rate: 1 << 20 }], BlkioWeight: 300 };
    const id = await engine.run(["sleep", "1000"], host);
    const container = engine.docker.getContainer(id);
    const { Pid } = (await engine.inspect(id)).State;
    const blkio = readFileSync(`/proc/${Pid}/cgroup`, "utf8").match(/:blkio:(.*)/)?.[1] ?? "";
    const file = (name: string): string => `/sys/fs/cgroup/blkio${blkio}/blkio.throttle.${name}`;
    const numbers = readFileSync(file("write_bps_device"), "utf8").split(" ")[0];
    await container.update({
      Memory: 64 << 20,
      BlkioDeviceWriteBps: [{ Path: disk, Rate: 3 << 20 }],
      BlkioDeviceReadIOps: [{ Path: disk, Rate: 77 }],
    });
    expect(readFileSync(file("write_bps_device"), "utf8").trim()).toBe(`${numbers} ${3 << 20}`);
    expect(readFileSync(file("read_iops_device"), "utf8").trim()).toBe(`${numbers} 77`);
    writeFileSync(file("write_bps_device"), `${numbers} ${4 << 20}`);
    writeFileSync(file("read_iops_device"), `${numbers} 0`);
    expect((await engine.inspect(id)).HostConfig).toMatchObject({
      Memory: 64 << 20,
      BlkioDeviceWriteBps: [{ Path: disk, Rate: 4 << 20 }],
      BlkioDeviceReadIOps: [],
      BlkioWeight: 300,
    });
    await expect(container.update({ BlkioDeviceReadBps: [{ Path: "/dev/null", Rate: 1 }] })).rejects.toThrow(
      "/dev/null is no block device of the host",
    );
    await container.remove({ force: true });
  });

  test("leaves what nobody asked for as it was asked", async () => {
    const id = await engine.run(["sleep", "1000"]);
    expect((await engine.inspect(id)).HostConfig).toMatchObject({
      Memory: 0,
      MemorySwap: 0,
      PidsLimit: null,
      OomKillDisable: false,
    });
    expect((await engine.inspect(id)).HostConfig.NanoCpus ?? 0).toBe(0);
    await engine.docker.getContainer(id).remove({ force: true });
  });
});
