import { describe, expect, test } from "vitest";
import { decideRestart, startsWithEngine, type EndedRun } from "../../../../src/engine/containers/restart-policy.ts";

const run = (change: Partial<EndedRun>): EndedRun => ({
  policy: { Name: "always" },
  exitCode: 1,
  restartCount: 0,
  stoppedByUser: false,
  ranMs: 50,
  lastDelayMs: 0,
  ...change,
});

describe("a container that has ended", () => {
  test("stays down without a policy, with `no`, and after a stop", () => {
    for (const change of [{ policy: undefined }, { policy: { Name: "no" } as const }, { stoppedByUser: true }]) {
      expect(decideRestart(run(change))).toEqual({ restart: false });
    }
  });

  test("comes back with always and unless-stopped, whatever its exit code", () => {
    for (const Name of ["always", "unless-stopped"] as const) {
      for (const exitCode of [0, 1, 137]) {
        expect(decideRestart(run({ policy: { Name }, exitCode }))).toEqual({ restart: true, delayMs: 100 });
      }
    }
  });

  test("comes back with on-failure only after a failure, and so often as the policy says", () => {
    const policy = { Name: "on-failure", MaximumRetryCount: 2 } as const;
    expect(decideRestart(run({ policy, exitCode: 0 })).restart).toBe(false);
    expect(decideRestart(run({ policy, restartCount: 1 })).restart).toBe(true);
    expect(decideRestart(run({ policy, restartCount: 2 })).restart).toBe(false);
    expect(decideRestart(run({ policy: { Name: "on-failure" }, restartCount: 500 })).restart).toBe(true);
  });

  test("waits twice as long each time, up to a minute, and from the start again after ten seconds of running", () => {
    const delays: number[] = [];
    for (let lastDelayMs = 0, i = 0; i < 12; i++) {
      const decision = decideRestart(run({ lastDelayMs }));
      lastDelayMs = decision.restart ? decision.delayMs : -1;
      delays.push(lastDelayMs);
    }
    expect(delays).toEqual([100, 200, 400, 800, 1600, 3200, 6400, 12_800, 25_600, 51_200, 60_000, 60_000]);
    expect(decideRestart(run({ lastDelayMs: 60_000, ranMs: 10_000 }))).toEqual({ restart: true, delayMs: 100 });
  });
});

test("after a reboot `always` comes back even when it was stopped, `unless-stopped` does not", () => {
  expect(startsWithEngine({ Name: "always" }, true)).toBe(true);
  expect(startsWithEngine({ Name: "unless-stopped" }, true)).toBe(false);
  expect(startsWithEngine({ Name: "unless-stopped" }, false)).toBe(true);
  expect(startsWithEngine({ Name: "on-failure" }, false)).toBe(false);
  expect(startsWithEngine(undefined, false)).toBe(false);
});
