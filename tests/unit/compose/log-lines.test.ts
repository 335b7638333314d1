import { Readable } from "node:stream";

import { expect, test } from "vitest";

import { createChannel } from "../../../src/compose/channel.ts";
import { outputLines } from "../../../src/compose/log-lines.ts";
import { apiTime, nanoTime } from "../../../src/compose/api-time.ts";

function frame(stream: 1 | 2, text: string): Buffer {
  const data = Buffer.from(text);
  const header = Buffer.alloc(8);
  header[0] = stream;
  header.writeUInt32BE(data.length, 4);
  return Buffer.concat([header, data]);
}

async function linesOf(chunks: readonly Buffer[], tty = false): Promise<readonly string[]> {
  const lines: string[] = [];
  for await (const { stream, text } of outputLines(Readable.from(chunks), {
    tty,
    signal: new AbortController().signal,
  })) {
    lines.push(`${stream}: ${text}`);
  }
  return lines;
}

test("lines are cut across frames, each stream by itself", async () => {
  expect(await linesOf([frame(1, "one\ntw"), frame(2, "err"), frame(1, "o\n"), frame(2, "or\n")])).toEqual([
    "stdout: one",
    "stdout: two",
    "stderr: error",
  ]);
});

test("a last line without an end counts", async () => {
  expect(await linesOf([frame(1, "no end")])).toEqual(["stdout: no end"]);
});

test("empty lines are kept, carriage returns at the end are not", async () => {
  expect(await linesOf([frame(1, "a\r\n\nb\n")])).toEqual(["stdout: a", "stdout: ", "stdout: b"]);
});

test("a character that is cut in two is put together", async () => {
  const [first, second] = [Buffer.from("é\n").subarray(0, 1), Buffer.from("é\n").subarray(1)];
  expect(await linesOf([first, second], true)).toEqual(["stdout: é"]);
});

test("a line without end is handed out in parts", async () => {
  const lines = await linesOf([frame(1, "x".repeat(1024 * 1024 + 10)), frame(1, "tail\n")]);
  expect(lines).toHaveLength(2);
  expect(lines[1]).toBe("stdout: tail");
});

test("a channel delivers what was pushed before it closed, then its error", async () => {
  const channel = createChannel<number>();
  channel.push(1);
  channel.push(2);
  channel.close(new Error("broken"));
  channel.push(3);
  const seen: number[] = [];
  const read = async (): Promise<void> => {
    for await (const value of channel) seen.push(value);
  };
  await expect(read()).rejects.toThrow("broken");
  expect(seen).toEqual([1, 2]);
});

test("times of the engine become times for the engine", () => {
  expect(nanoTime("1795253323472722625")).toBe("1795253323.472722625");
  expect(apiTime("2026-11-21T09:28:43.4709Z")).toBe(`${Date.parse("2026-11-21T09:28:43Z") / 1000}.470900000`);
});
