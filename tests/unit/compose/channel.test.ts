import { expect, test } from "vitest";
import { createChannel } from "../../../src/compose/channel.ts";

test("producers wait for a slow consumer, and nothing is lost or out of order", async () => {
  const channel = createChannel<number>();
  let pushed = 0;
  const producer = (async () => {
    for (; pushed < 10_000; pushed++) {
      channel.push(pushed);
      await channel.room();
    }
    channel.close();
  })();
  const seen: number[] = [];
  let ahead = 0;
  for await (const value of channel) {
    ahead = Math.max(ahead, pushed - seen.length);
    seen.push(value);
    if (value % 100 === 0) await new Promise((resolve) => setImmediate(resolve));
  }
  await producer;
  expect(seen).toEqual(Array.from({ length: 10_000 }, (_, index) => index));
  expect(ahead).toBeLessThanOrEqual(2001);
});

test("a closed channel keeps no producer waiting, and delivers what was pushed", async () => {
  const channel = createChannel<number>();
  for (let value = 0; value < 1500; value++) channel.push(value);
  const producer = channel.room();
  channel.close(new Error("over"));
  await producer;
  const seen: number[] = [];
  const reading = (async () => {
    for await (const value of channel) seen.push(value);
  })();
  await expect(reading).rejects.toThrow("over");
  expect(seen).toHaveLength(1500);
});
