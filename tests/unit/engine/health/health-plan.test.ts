import { describe, expect, test } from "vitest";
import { afterProbe, nextProbe, planHealth, type HealthPlan } from "../../../../src/engine/health/health-plan.ts";
import type { HealthState } from "../../../../src/engine/types.ts";

const seconds = (n: number) => n * 1e9;
const starting: HealthState = { Status: "starting", FailingStreak: 0, Log: [] };
const healthy: HealthState = { Status: "healthy", FailingStreak: 0, Log: [] };
const entry = (ExitCode: number, Output = "") => ({ Start: "s", End: "e", ExitCode, Output });

function plan(check: object, eager = false): HealthPlan {
  const found = planHealth({ Healthcheck: { Test: ["CMD", "true"], ...check } }, eager);
  if (found === undefined) throw new Error("no plan");
  return found;
}

describe("what a health check asks for", () => {
  test("defaults are Docker's", () => {
    expect(plan({})).toEqual({
      argv: ["true"],
      intervalMs: 30_000,
      timeoutMs: 30_000,
      retries: 3,
      startPeriodMs: 0,
      startIntervalMs: 5_000,
      eager: false,
    });
  });

  test("CMD-SHELL uses the container's shell", () => {
    const Healthcheck = { Test: ["CMD-SHELL", "curl x"] };
    expect(planHealth({ Healthcheck }, false)?.argv).toEqual(["/bin/sh", "-c", "curl x"]);
    expect(planHealth({ Healthcheck, Shell: ["bash", "-ec"] }, false)?.argv).toEqual(["bash", "-ec", "curl x"]);
  });

  test.each([[undefined], [[]], [["NONE"]], [["CMD"]]])("%j is no check", (Test) => {
    expect(planHealth(Test === undefined ? {} : { Healthcheck: { Test } }, true)).toBeUndefined();
  });

  test("eager probes are for checks that set no start interval, and can be switched off", () => {
    expect(plan({}, true).eager).toBe(true);
    expect(plan({}, false).eager).toBe(false);
    expect(plan({ StartInterval: seconds(1) }, true).eager).toBe(false);
  });
});

describe("when to probe", () => {
  const history = { startedMs: 1000, countedMs: undefined, lastMs: undefined, eagerProbes: 0 };

  test("on Docker's schedule the first probe is one interval after the start, the next one interval after its end", () => {
    const p = plan({ Interval: seconds(10) });
    expect(nextProbe(p, starting, history)).toEqual({ atMs: 11_000, counted: true });
    expect(nextProbe(p, healthy, { ...history, countedMs: 12_500 })).toEqual({ atMs: 22_500, counted: true });
  });

  test("in the start period the start interval counts, until the first success", () => {
    const p = plan({ Interval: seconds(10), StartPeriod: seconds(60), StartInterval: seconds(2) });
    expect(nextProbe(p, starting, history).atMs).toBe(3_000);
    expect(nextProbe(p, starting, { ...history, countedMs: 3_500 }).atMs).toBe(5_500);
    expect(nextProbe(p, starting, { ...history, countedMs: 61_500 }).atMs).toBe(71_500);
    expect(nextProbe(p, healthy, { ...history, countedMs: 3_500 }).atMs).toBe(13_500);
  });

  test("eager probes begin at once and back off from 50 ms to 1 s", () => {
    const p = plan({}, true);
    expect(nextProbe(p, starting, history)).toEqual({ atMs: 1000, counted: false });
    const waits = [1, 2, 3, 4, 5, 6, 7, 20].map((eagerProbes) => {
      return nextProbe(p, starting, { ...history, lastMs: 2000, eagerProbes }).atMs - 2000;
    });
    expect(waits).toEqual([50, 100, 200, 400, 800, 1000, 1000, 1000]);
  });

  test("Docker's own probe keeps its place among the eager ones", () => {
    const p = plan({ Interval: seconds(1) }, true);
    expect(nextProbe(p, starting, { ...history, lastMs: 1900, eagerProbes: 5 })).toEqual({ atMs: 2000, counted: true });
  });

  test("after the first success, or the verdict that it failed, there are no eager probes", () => {
    const p = plan({}, true);
    expect(nextProbe(p, healthy, { ...history, countedMs: 2000, lastMs: 2000 })).toEqual({
      atMs: 32_000,
      counted: true,
    });
    const unhealthy: HealthState = { ...healthy, Status: "unhealthy" };
    expect(nextProbe(p, unhealthy, { ...history, countedMs: 2000, lastMs: 2000 }).counted).toBe(true);
  });
});

describe("what a result means", () => {
  const p = plan({ Retries: 2, StartPeriod: seconds(10) });
  const late = { sinceStartMs: 20_000, counted: true };

  test("one success makes it healthy", () => {
    expect(afterProbe(p, { ...starting, FailingStreak: 1 }, { entry: entry(0), ...late })).toMatchObject({
      Status: "healthy",
      FailingStreak: 0,
    });
  });

  test("as many failures in a row as there are retries make it unhealthy, one success heals", () => {
    const one = afterProbe(p, healthy, { entry: entry(1), ...late });
    expect(one).toMatchObject({ Status: "healthy", FailingStreak: 1 });
    const two = afterProbe(p, one, { entry: entry(1), ...late });
    expect(two).toMatchObject({ Status: "unhealthy", FailingStreak: 2 });
    expect(afterProbe(p, two, { entry: entry(0), ...late })).toMatchObject({ Status: "healthy", FailingStreak: 0 });
  });

  test("failures in the start period are logged and do not count", () => {
    const state = afterProbe(p, starting, { entry: entry(1), sinceStartMs: 9_000, counted: true });
    expect(state).toMatchObject({ Status: "starting", FailingStreak: 0 });
    expect(state.Log).toHaveLength(1);
  });

  test("the failure of an eager probe leaves no trace, its success counts", () => {
    expect(afterProbe(p, starting, { entry: entry(1), sinceStartMs: 20_000, counted: false })).toBe(starting);
    expect(afterProbe(p, starting, { entry: entry(0), sinceStartMs: 1, counted: false }).Status).toBe("healthy");
  });

  test("the last five results are kept", () => {
    let state = healthy;
    for (let i = 1; i <= 7; i++) state = afterProbe(p, state, { entry: entry(0, String(i)), ...late });
    expect(state.Log.map(({ Output }) => Output)).toEqual(["3", "4", "5", "6", "7"]);
  });
});
