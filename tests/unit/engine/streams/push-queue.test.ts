import { describe, expect, test } from "vitest";
import { PushQueue } from "../../../../src/engine/streams/push-queue.ts";

function queueOf(limit: number) {
  let closed = 0;
  const queue = new PushQueue<string>({
    limit,
    weigh: (text) => text.length,
    subject: "logs",
    onClose: () => closed++,
  });
  return { queue, closed: () => closed };
}

async function read(queue: AsyncIterable<string>): Promise<string[]> {
  const seen: string[] = [];
  for await (const value of queue) seen.push(value);
  return seen;
}

describe("push queue", () => {
  test("delivers in order, also what comes while it is read, and then ends", async () => {
    const { queue, closed } = queueOf(100);
    queue.push("a");
    const seen = read(queue);
    await Promise.resolve();
    queue.push("b");
    queue.push("c");
    queue.end();
    expect(await seen).toEqual(["a", "b", "c"]);
    expect(closed()).toBe(1);
    expect(queue.push("late")).toBe(false);
  });

  test("a reader beyond the bound is cut off with an error, and nothing is kept for it", async () => {
    const { queue, closed } = queueOf(10);
    expect(queue.push("12345678")).toBe(true);
    expect(queue.push("90123")).toBe(false);
    expect([queue.pending, closed()]).toEqual([0, 1]);
    await expect(read(queue)).rejects.toThrow("logs: the reader fell too far behind and was cut off");
  });

  test("one value larger than the bound passes when nothing else waits", async () => {
    const { queue } = queueOf(3);
    expect(queue.push("12345")).toBe(true);
    queue.end();
    expect(await read(queue)).toEqual(["12345"]);
  });

  test("tells a producer that paused when less than half is left", async () => {
    const { queue } = queueOf(10);
    queue.push("1234");
    queue.push("5678");
    let drained = false;
    queue.whenDrained(() => (drained = true));
    const iterator = queue[Symbol.asyncIterator]();
    await iterator.next();
    expect(drained).toBe(false);
    await iterator.next();
    expect(drained).toBe(true);
  });

  test("a reader that leaves early closes it", async () => {
    const { queue, closed } = queueOf(10);
    queue.push("a");
    for await (const _ of queue) break;
    expect(closed()).toBe(1);
    expect(queue.push("b")).toBe(false);
  });
});
