import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { expectCgroupMove } from "../../../src/host/cgroup-moves.ts";

test("a move that is expected leaves this process where it is, with rights and without", async () => {
  const groups = (): string => readFileSync("/proc/self/cgroup", "utf8");
  const before = groups();
  const first = expectCgroupMove();
  expect(expectCgroupMove()).toBe(first); // one at a time
  expect(typeof (await first)).toBe("boolean");
  await expectCgroupMove();
  expect(groups()).toBe(before);
});
