import { describe, expect, test } from "vitest";
import { commandText, humanDuration, statusText } from "../../../../src/engine/containers/status-text.ts";
import { state } from "./fixtures.ts";

const second = 1_000_000_000n;
const now = BigInt(Date.parse("2026-11-21T10:00:00Z")) * 1_000_000n;
const ago = (seconds: number): string => new Date(Number(now / 1_000_000n) - seconds * 1000).toISOString();

test("durations are told as Docker tells them", () => {
  const texts = [0, 1, 2, 59, 60, 119, 120, 3540, 3600, 7200, 172_000, 172_800, 1_209_600, 5_184_000, 63_072_000].map(
    (seconds) => humanDuration(BigInt(seconds) * second),
  );
  expect(texts).toEqual([
    "Less than a second",
    "1 second",
    "2 seconds",
    "59 seconds",
    "About a minute",
    "About a minute",
    "2 minutes",
    "59 minutes",
    "About an hour",
    "2 hours",
    "2 days",
    "2 days",
    "2 weeks",
    "2 months",
    "2 years",
  ]);
});

describe("the status of a container", () => {
  const running = { status: "running", startedAt: ago(2) } as const;
  test.each([
    [state(), "Created"],
    [state(running), "Up 2 seconds"],
    [
      state({ ...running, health: { Status: "starting", FailingStreak: 0, Log: [] } }),
      "Up 2 seconds (health: starting)",
    ],
    [state({ ...running, health: { Status: "healthy", FailingStreak: 0, Log: [] } }), "Up 2 seconds (healthy)"],
    [state({ status: "paused", startedAt: ago(180) }), "Up 3 minutes (Paused)"],
    [state({ status: "exited", exitCode: 137, finishedAt: ago(300) }), "Exited (137) 5 minutes ago"],
    [state({ status: "restarting", exitCode: 1, finishedAt: ago(2) }), "Restarting (1) 2 seconds ago"],
    [state({ status: "dead" }), "Dead"],
    [state({ status: "removing" }), "Removal In Progress"],
  ])("%#: %s", (recorded, text) => {
    expect(statusText(recorded, now)).toBe(text);
  });
});

test("a command shows arguments with blanks in quotes", () => {
  expect(commandText("sh", ["-c", "echo a b", ""])).toBe("sh -c 'echo a b' ");
  expect(commandText("sleep", ["1000"])).toBe("sleep 1000");
});
