import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { Container } from "../../../../src/engine/containers/container.ts";
import { containerPaths } from "../../../../src/engine/containers/paths.ts";
import type { ContainerRecord } from "../../../../src/engine/containers/record.ts";
import { HealthMonitors } from "../../../../src/engine/health/health-monitors.ts";
import type { OutputChunk } from "../../../../src/engine/engine.ts";
import type { RunningExec } from "../../../../src/engine/streams/exec-run.ts";
import type { HealthcheckConfig } from "../../../../src/engine/types.ts";

let dir: string;
let events: string[];
let healthy: string[];
/** Results of the coming probes: exit code and output, or "hang"; the last one stays. */
let results: ([number, string] | "hang" | Error)[];
let probes: { at: number; quiet: boolean }[];
let monitors: HealthMonitors;

beforeEach(() => {
  vi.useFakeTimers();
  dir = mkdtempSync(join(tmpdir(), "health-"));
  [events, healthy, results, probes] = [[], [], [[0, ""]], []];
  monitors = monitorsWith(false);
});
afterEach(() => {
  monitors.close();
  vi.useRealTimers();
  rmSync(dir, { recursive: true, force: true });
});

function monitorsWith(eager: boolean): HealthMonitors {
  const begin = performance.now();
  return new HealthMonitors({
    eager,
    exec: (_container, _config, quiet) => {
      probes.push({ at: Math.round(performance.now() - begin), quiet });
      const result = (results.length > 1 ? results.shift() : results[0]) ?? "hang";
      return result instanceof Error ? Promise.reject(result) : Promise.resolve(execWith(result));
    },
    setHealthy: (id, up) => void healthy.push(`${id} ${up}`),
    publish: (event) => void events.push(event.action),
  });
}

function execWith(result: [number, string] | "hang"): RunningExec {
  async function* output(): AsyncGenerator<OutputChunk> {
    if (result !== "hang") yield { stream: "stdout", data: Buffer.from(result[1]) };
    else await new Promise(() => undefined);
  }
  const end = { exitCode: result === "hang" ? 0 : result[0], failure: undefined, pid: 1 };
  return {
    output: output(),
    ended: result === "hang" ? new Promise(() => undefined) : Promise.resolve(end),
    writeStdin: () => Promise.resolve(false),
    endStdin: () => undefined,
    detach: () => undefined,
    resize: () => undefined,
    pid: () => 1,
    kill: () => void events.push("killed"),
  };
}

function containerWith(check: HealthcheckConfig): Container {
  const record = {
    id: "c1",
    name: "web",
    imageRef: "busybox",
    config: { Healthcheck: { Test: ["CMD", "probe"], ...check } },
    state: { startedAt: new Date().toISOString(), health: undefined },
  } as unknown as ContainerRecord;
  return new Container(record, containerPaths({ dataRoot: dir, runRoot: dir }, "c1"), () => undefined);
}

describe("health monitors", () => {
  test("a container becomes healthy at its first good probe, with an event", async () => {
    const container = containerWith({ Interval: 1e9 });
    monitors.start(container, "fresh");
    expect(container.state.health?.Status).toBe("starting");
    await vi.advanceTimersByTimeAsync(1100);
    expect(container.state.health).toMatchObject({ Status: "healthy", Log: [{ ExitCode: 0 }] });
    expect([events, healthy]).toEqual([["health_status: healthy"], ["c1 true"]]);
  });

  test("a failing one becomes unhealthy after its retries and leaves the rotation of its names", async () => {
    results = [[7, "no answer"]];
    const container = containerWith({ Interval: 1e9, Retries: 2 });
    monitors.start(container, "fresh");
    await vi.advanceTimersByTimeAsync(2100);
    expect(container.state.health).toMatchObject({ Status: "unhealthy", FailingStreak: 2 });
    expect(container.state.health?.Log[0]).toMatchObject({ ExitCode: 7, Output: "no answer" });
    expect([events, healthy]).toEqual([["health_status: unhealthy"], ["c1 false"]]);
  });

  test("eager probes find readiness long before the interval, without counting failures", async () => {
    monitors = monitorsWith(true);
    results = [
      [1, ""],
      [1, ""],
      [1, ""],
      [0, "ready"],
    ];
    const container = containerWith({ Interval: 30e9, Retries: 1 });
    monitors.start(container, "fresh");
    await vi.advanceTimersByTimeAsync(500);
    expect(container.state.health).toMatchObject({ Status: "healthy", Log: [{ Output: "ready" }] });
    expect(probes.map(({ at }) => at)).toEqual([0, 50, 150, 350]);
    expect(probes.every(({ quiet }) => quiet)).toBe(true);
    await vi.advanceTimersByTimeAsync(29_000);
    expect(probes).toHaveLength(4);
  });

  test("a probe that takes too long is killed and has failed", async () => {
    results = ["hang"];
    const container = containerWith({ Interval: 1e9, Timeout: 2e9, Retries: 1 });
    monitors.start(container, "fresh");
    await vi.advanceTimersByTimeAsync(3100);
    expect(events).toEqual(["killed", "health_status: unhealthy"]);
    expect(container.state.health?.Log[0]).toMatchObject({
      ExitCode: -1,
      Output: "Health check exceeded timeout (2s)",
    });
  });

  test("a check that cannot be run has failed with the reason", async () => {
    results = [new Error("no such runtime")];
    const container = containerWith({ Interval: 1e9 });
    monitors.start(container, "fresh");
    await vi.advanceTimersByTimeAsync(1100);
    expect(container.state.health?.Log[0]).toMatchObject({ ExitCode: -1, Output: "no such runtime" });
  });

  test("output is cut at 4096 bytes", async () => {
    results = [[0, "x".repeat(5000)]];
    const container = containerWith({ Interval: 1e9 });
    monitors.start(container, "fresh");
    await vi.advanceTimersByTimeAsync(1100);
    expect(container.state.health?.Log[0]?.Output).toBe(`${"x".repeat(4096)}...`);
  });

  test("while it is paused nothing is probed; it goes on from what it was", async () => {
    const container = containerWith({ Interval: 1e9 });
    monitors.start(container, "fresh");
    await vi.advanceTimersByTimeAsync(1100);
    monitors.suspend("c1");
    await vi.advanceTimersByTimeAsync(10_000);
    expect(probes).toHaveLength(1);
    monitors.start(container, "continued");
    expect(container.state.health?.Status).toBe("healthy");
    await vi.advanceTimersByTimeAsync(1100);
    expect(probes).toHaveLength(2);
  });

  test("a stopped container is not healthy any more", async () => {
    const container = containerWith({ Interval: 1e9 });
    monitors.start(container, "fresh");
    await vi.advanceTimersByTimeAsync(1100);
    monitors.stop(container);
    expect(container.state.health?.Status).toBe("unhealthy");
  });

  test("a container without a check has no health", () => {
    const container = containerWith({ Test: ["NONE"] });
    monitors.start(container, "fresh");
    expect(container.state.health).toBeUndefined();
  });
});
