import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { Container } from "../../../../src/engine/containers/container.ts";
import { containerPaths } from "../../../../src/engine/containers/paths.ts";
import type { ContainerRecord } from "../../../../src/engine/containers/record.ts";
import { ContainerRegistry } from "../../../../src/engine/containers/registry.ts";
import { readCgroupUsage } from "../../../../src/engine/stats/cgroup-usage.ts";
import { parseInterfaces, parseSystemCpu } from "../../../../src/engine/stats/host-counters.ts";
import { listProcesses, selectRows } from "../../../../src/engine/stats/process-table.ts";
import { Stats } from "../../../../src/engine/stats/stats.ts";
import type { CgroupMounts } from "../../../../src/host/cgroup.ts";
import { identifyProcess } from "../../../../src/host/process-identity.ts";

let dir: string;
beforeEach(() => (dir = mkdtempSync(join(tmpdir(), "stats-"))));
afterEach(() => rmSync(dir, { recursive: true, force: true }));

function group(version: 1 | 2, files: Record<string, string>): CgroupMounts {
  const names = version === 2 ? ["cpu", "memory", "pids", "io"] : ["cpu", "cpuacct", "memory", "pids", "blkio"];
  const at = (name: string) => (version === 2 ? dir : join(dir, name));
  for (const name of names) mkdirSync(join(at(name), "c1"), { recursive: true });
  const all: Record<string, string> = {
    "memory/cgroup.procs": `${process.pid}\n`,
    "pids/cgroup.procs": `${process.pid}\n`,
    ...files,
  };
  for (const [path, text] of Object.entries(all)) {
    const [controller = "", file = ""] = path.split("/");
    writeFileSync(join(at(controller), "c1", file), text);
  }
  const controllers = new Map(names.map((name) => [name, at(name)]));
  return { version, controllers, mountPoints: [...new Set(controllers.values())], hybridUnified: undefined };
}

const v1Files = {
  "cpuacct/cpuacct.usage": "154653614\n",
  "cpuacct/cpuacct.usage_percpu": "44559046 110094568 \n",
  "cpuacct/cpuacct.stat": "user 8\nsystem 6\n",
  "cpu/cpu.stat": "nr_periods 40\nnr_throttled 2\nthrottled_time 500\n",
  "memory/memory.usage_in_bytes": "585728\n",
  "memory/memory.max_usage_in_bytes": "3825664\n",
  "memory/memory.limit_in_bytes": "67108864\n",
  "memory/memory.failcnt": "1\n",
  "memory/memory.stat": "cache 8192\ntotal_inactive_file 4096\n",
  "pids/pids.current": "2\n",
  "pids/pids.max": "max\n",
  "blkio/blkio.throttle.io_service_bytes_recursive": "8:0 Read 4096\n8:0 Write 8192\nTotal 12288\n",
};
const v2Files = {
  "cpu/cpu.stat": "usage_usec 1000\nuser_usec 700\nsystem_usec 300\nnr_periods 4\nnr_throttled 1\nthrottled_usec 9\n",
  "memory/memory.current": "1000\n",
  "memory/memory.max": "max\n",
  "memory/memory.stat": "inactive_file 100\n",
  "pids/pids.current": "3\n",
  "pids/pids.max": "50\n",
  "io/io.stat": "8:0 rbytes=1 wbytes=2 rios=3 wios=4 dbytes=0 dios=0\n\n",
};

describe("usage of a cgroup", () => {
  test("version 1", () => {
    expect(readCgroupUsage(group(1, v1Files), "c1")).toEqual({
      cpu: {
        total: 154653614,
        kernel: 60000000,
        user: 80000000,
        perCpu: [44559046, 110094568],
        periods: 40,
        throttledPeriods: 2,
        throttledTime: 500,
      },
      memory: {
        usage: 585728,
        limit: 67108864,
        stats: { cache: 8192, total_inactive_file: 4096 },
        maxUsage: 3825664,
        failures: 1,
      },
      pids: { current: 2, limit: Infinity },
      io: [
        { major: 8, minor: 0, op: "Read", value: 4096 },
        { major: 8, minor: 0, op: "Write", value: 8192 },
      ],
    });
  });

  test("version 2", () => {
    expect(readCgroupUsage(group(2, v2Files), "c1")).toEqual({
      cpu: {
        total: 1000000,
        kernel: 300000,
        user: 700000,
        perCpu: undefined,
        periods: 4,
        throttledPeriods: 1,
        throttledTime: 9000,
      },
      memory: { usage: 1000, limit: Infinity, stats: { inactive_file: 100 }, maxUsage: undefined, failures: undefined },
      pids: { current: 3, limit: 50 },
      io: [
        { major: 8, minor: 0, op: "read", value: 1 },
        { major: 8, minor: 0, op: "write", value: 2 },
      ],
    });
  });

  test("no limit on version 1 is a number near 2^63", () => {
    const mounts = group(1, { ...v1Files, "memory/memory.limit_in_bytes": "9223372036854771712\n" });
    expect(readCgroupUsage(mounts, "c1")?.memory.limit).toBe(Infinity);
  });

  test("a group that is gone", () => {
    expect(readCgroupUsage(group(2, v2Files), "c2")).toBeUndefined();
  });
});

describe("counters of the machine", () => {
  test("CPU time counts the first seven fields, CPUs by their lines", () => {
    const text = "cpu  1 2 3 4 5 6 7 100 0 0\ncpu0 1 1 1 1 1 1 1 50 0 0\ncpu1 0 1 2 3 4 5 6 50 0 0\nintr 5\n";
    expect(parseSystemCpu(text)).toEqual({ systemCpu: 280_000_000, onlineCpus: 2 });
  });

  test("interfaces without loopback", () => {
    const text = `Inter-|   Receive                                                |  Transmit
 face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed
    lo:     100       1    0    0    0     0          0         0      100       1    0    0    0     0       0          0
  eth0:     876      10    1    2    0     0          0         0      126       3    4    5    0     0       0          0
`;
    expect(parseInterfaces(text)).toEqual({
      eth0: {
        rx_bytes: 876,
        rx_packets: 10,
        rx_errors: 1,
        rx_dropped: 2,
        tx_bytes: 126,
        tx_packets: 3,
        tx_errors: 4,
        tx_dropped: 5,
      },
    });
  });
});

describe("statistics of a container", () => {
  function stats(mounts: CgroupMounts, status: string) {
    const registry = new ContainerRegistry();
    const state = { status, process: identifyProcess(process.pid) };
    const record = {
      id: "c1",
      name: "web",
      created: "",
      imageRef: "x",
      config: {},
      hostConfig: { NetworkMode: "host" },
      state,
    };
    const container = new Container(
      record as unknown as ContainerRecord,
      containerPaths({ dataRoot: dir, runRoot: dir }, "c1"),
      () => undefined,
    );
    registry.add(container);
    const service = new Stats({
      registry,
      cgroup: mounts,
      cgroupPathOf: () => "c1",
      memoryBytes: 5000,
      publish: () => undefined,
    });
    return { service, container };
  }
  const signal = new AbortController().signal;
  async function first(objects: Promise<AsyncIterable<object>>): Promise<object> {
    for await (const object of await objects) return object;
    throw new Error("nothing");
  }

  test("one shot: the present, nothing before it; memory is limited by the machine", async () => {
    const { service } = stats(group(2, v2Files), "running");
    expect(await first(service.stats("web", { stream: false, oneShot: true }, signal))).toMatchObject({
      preread: "0001-01-01T00:00:00Z",
      pids_stats: { current: 3, limit: 50 },
      cpu_stats: {
        cpu_usage: { total_usage: 1000000 },
        throttling_data: { periods: 4, throttled_periods: 1, throttled_time: 9000 },
      },
      precpu_stats: { cpu_usage: { total_usage: 0 } },
      memory_stats: { usage: 1000, limit: 5000, stats: { inactive_file: 100 } },
      name: "/web",
      id: "c1",
    });
  });

  test("without stream: two readings a second apart", async () => {
    const { service } = stats(group(1, v1Files), "running");
    const object = await first(service.stats("web", { stream: false, oneShot: false }, signal));
    expect(object).toMatchObject({
      preread: expect.stringMatching(/^20/),
      precpu_stats: { cpu_usage: { percpu_usage: [44559046, 110094568] }, online_cpus: expect.any(Number) },
      memory_stats: { max_usage: 3825664, failcnt: 1 },
    });
    expect(object).not.toHaveProperty("networks");
  });

  test("of a container that does not run: zeros", async () => {
    const { service } = stats(group(2, v2Files), "exited");
    expect(await first(service.stats("web", { stream: true, oneShot: false }, signal))).toMatchObject({
      read: "0001-01-01T00:00:00Z",
      pids_stats: {},
      memory_stats: {},
      blkio_stats: { io_service_bytes_recursive: null },
    });
  });

  test("a stream ends when the container is removed", async () => {
    const { service, container } = stats(group(2, v2Files), "running");
    let count = 0;
    for await (const _ of await service.stats("web", { stream: true, oneShot: false }, signal)) {
      count++;
      container.markRemoved();
    }
    expect(count).toBe(1);
  });

  test("top shows the processes of the group, and is refused when there are none", async () => {
    const { Titles, Processes } = await stats(group(2, v2Files), "running").service.top("web", "-ef");
    expect(Titles).toEqual(["UID", "PID", "PPID", "C", "STIME", "TTY", "TIME", "CMD"]);
    expect(Processes.map((row) => [row[1], row[2]])).toEqual([[String(process.pid), String(process.ppid)]]);
    await expect(stats(group(2, v2Files), "exited").service.top("web", "-ef")).rejects.toThrow(
      "container c1 is not running",
    );
  });
});

describe("rows of ps", () => {
  test("only those of the container, the last column whole", () => {
    const output = "  PID COMMAND\n    1 init\n 3308 sh -c  while true\n";
    expect(selectRows(output, new Set([3308]))).toEqual({
      Titles: ["PID", "COMMAND"],
      Processes: [["3308", "sh -c while true"]],
    });
  });

  test("output without a pid column is refused", () => {
    expect(() => selectRows("COMMAND\nsh\n", new Set([1]))).toThrow("Couldn't find PID field in ps output");
  });

  test("other arguments are the host's ps'", async () => {
    const table = await listProcesses(new Set([process.pid]), "-o pid,comm -p 1 -p " + process.pid);
    expect(table.Titles).toEqual(["PID", "COMMAND"]);
    expect(table.Processes).toHaveLength(1);
  });
});
