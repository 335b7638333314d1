import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { afterEach, beforeEach, expect, test } from "vitest";

import { createProjectLock } from "../../../src/cli/project-lock.ts";

let root: string;
let waits: string[];
const never = new AbortController().signal;

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "tscompose-lock-"));
  waits = [];
});
afterEach(() => rmSync(root, { recursive: true }));

const lock = (project: string, signal = never): Promise<() => void> =>
  createProjectLock({ TSCOMPOSE_RUN_ROOT: root }, (message) => waits.push(message))(project, signal);

test("the second to come waits until the first gives up", async () => {
  const release = await lock("app");
  const order: string[] = [];
  const second = lock("app").then((giveUp) => {
    order.push("second");
    giveUp();
  });
  await new Promise((resolve) => setTimeout(resolve, 20));
  order.push("first");
  release();
  await second;
  expect(order).toEqual(["first", "second"]);
  expect(waits).toEqual(["another command is changing project app; waiting for it"]);
});

test("projects do not wait for each other", async () => {
  const releases = await Promise.all([lock("app"), lock("other")]);
  expect(waits).toEqual([]);
  for (const release of releases) release();
});

test("whoever waits can give up", async () => {
  const release = await lock("app");
  const controller = new AbortController();
  const waiting = lock("app", controller.signal);
  controller.abort();
  await expect(waiting).rejects.toMatchObject({ code: "aborted" });
  release();
});

test("a run root that cannot be written is named, with a remedy", async () => {
  const broken = createProjectLock({ TSCOMPOSE_RUN_ROOT: "/proc/nowhere" }, () => undefined);
  await expect(broken("app", never)).rejects.toMatchObject({ code: "host/permission" });
});
