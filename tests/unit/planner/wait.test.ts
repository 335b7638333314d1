import { describe, expect, test } from "vitest";

import type { ContainerState } from "../../../src/api/wire.ts";
import type { WaitCondition } from "../../../src/planner/operation.ts";
import { conditionHolds } from "../../../src/planner/wait.ts";

const target = { id: "1", name: "app-db-1", service: "db" };

function holds(condition: WaitCondition, state: Partial<ContainerState>): boolean {
  const inspect = { State: { Status: "running", Running: true, Restarting: false, ExitCode: 0, ...state } };
  return conditionHolds(inspect as Parameters<typeof conditionHolds>[0], target, condition);
}

const health = (Status: "starting" | "healthy" | "unhealthy"): Partial<ContainerState> => ({
  Health: { Status, FailingStreak: 0, Log: [] },
});
const exited = (ExitCode: number): Partial<ContainerState> => ({ Status: "exited", Running: false, ExitCode });

describe("service_healthy", () => {
  test("holds once it is healthy", () => {
    expect(holds("service_healthy", health("healthy"))).toBe(true);
  });
  test("may hold later while it starts", () => {
    expect(holds("service_healthy", health("starting"))).toBe(false);
    expect(holds("service_healthy", { Status: "created", Running: false })).toBe(false);
  });
  test("fails when it is unhealthy", () => {
    expect(() => holds("service_healthy", health("unhealthy"))).toThrow(
      "dependency failed to start: container app-db-1 is unhealthy",
    );
  });
  test("fails when it has ended", () => {
    expect(() => holds("service_healthy", exited(3))).toThrow(
      "dependency failed to start: container app-db-1 exited (3)",
    );
  });
  test("goes on waiting while its restart policy brings it back", () => {
    expect(holds("service_healthy", { ...exited(3), Restarting: true, Status: "restarting" })).toBe(false);
  });
  test("fails without a healthcheck", () => {
    expect(() => holds("service_healthy", {})).toThrow("container app-db-1 has no healthcheck configured");
  });
});

describe("service_completed_successfully", () => {
  test("holds once it has ended with 0", () => {
    expect(holds("service_completed_successfully", {})).toBe(false);
    expect(holds("service_completed_successfully", exited(0))).toBe(true);
  });
  test("fails with any other code", () => {
    expect(() => holds("service_completed_successfully", exited(2))).toThrow(
      `service "db" didn't complete successfully: exit 2`,
    );
  });
});

describe("running_or_healthy", () => {
  test("holds when it runs and has no healthcheck", () => {
    expect(holds("running_or_healthy", {})).toBe(true);
  });
  test("waits for health where there is a healthcheck", () => {
    expect(holds("running_or_healthy", health("starting"))).toBe(false);
    expect(holds("running_or_healthy", health("healthy"))).toBe(true);
  });
  test("fails when it has ended", () => {
    expect(() => holds("running_or_healthy", exited(0))).toThrow("exited (0)");
  });
});
