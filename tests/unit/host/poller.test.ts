import { closeSync, writeSync } from "node:fs";
import { afterEach, beforeEach, expect, test } from "vitest";
import { EPOLLIN } from "../../../src/host/libc.ts";
import { Poller } from "../../../src/host/poller.ts";
import { pipe } from "../../../src/host/posix-spawn.ts";

let poller: Poller;
let open: number[];
beforeEach(() => {
  poller = new Poller();
  open = [];
});
afterEach(async () => {
  await poller.close();
  for (const fd of open) closeSync(fd);
});

function newPipe(): { readonly read: number; readonly write: number } {
  const ends = pipe();
  open.push(ends.read, ends.write);
  return ends;
}

function close(fd: number): void {
  closeSync(fd);
  open.splice(open.indexOf(fd), 1);
}

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));
/** The main thread does nothing else meanwhile, the thread that waits does. */
const hold = (ms: number): unknown => Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);

test("a descriptor that is ready is reported, also one that was added while the thread waits", async () => {
  const [first, second] = [newPipe(), newPipe()];
  const seen: string[] = [];
  poller.watch(first.read, EPOLLIN, () => seen.push("first"));
  await pause(10);
  poller.watch(second.read, EPOLLIN, () => {
    poller.unwatch(second.read);
    seen.push("second");
  });
  writeSync(second.write, "x");
  await expect.poll(() => seen).toEqual(["second"]);
});

test("what was ready does not count for another descriptor that has got its number meanwhile", async () => {
  const old = newPipe();
  let calls = 0;
  poller.watch(old.read, EPOLLIN, () => undefined);
  await pause(10);
  writeSync(old.write, "x");
  hold(50); // the thread has seen it, this one has not heard of it
  poller.unwatch(old.read);
  close(old.read);
  const young = newPipe();
  expect(young.read).toBe(old.read);
  poller.watch(young.read, EPOLLIN, () => {
    calls++;
    poller.unwatch(young.read);
  });
  await pause(50);
  expect(calls).toBe(0);
  writeSync(young.write, "x");
  await expect.poll(() => calls).toBe(1);
});
