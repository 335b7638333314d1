import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { AttachOptions } from "../../../src/engine/streams/attachments.ts";
import { Bench, pause, textOf, until } from "./bench-container.ts";

let bench: Bench;
beforeAll(() => (bench = new Bench()));
afterAll(async () => bench.close());

const all: AttachOptions = {
  stdin: true,
  stdout: true,
  stderr: true,
  logs: false,
  stream: true,
  detachKeys: undefined,
};

describe("attach", () => {
  test("before the start: not a byte is missed, and the stream ends with the container", async () => {
    const container = bench.create({ Cmd: ["sh", "-c", "echo first; echo oops >&2; echo last"] });
    const session = bench.attachments.attach(container, all);
    const output = textOf(session.output);
    await bench.start(container);
    const text = await output;
    expect(text.filter((line) => line.startsWith("stdout")).join("")).toContain("first\n");
    expect(text.join("")).toContain("last\n");
    expect(text).toContain("stderr:oops\n");
  });

  test("only the streams that were asked for", async () => {
    const container = bench.create({ Cmd: ["sh", "-c", "echo out; echo err >&2"] });
    const session = bench.attachments.attach(container, { ...all, stdout: false });
    const output = textOf(session.output);
    await bench.start(container);
    expect(await output).toEqual(["stderr:err\n"]);
  });

  test("stdin with StdinOnce: the client's end of input is the container's, its output still comes", async () => {
    const container = bench.create({ Cmd: ["sh", "-c", "cat; echo done"], OpenStdin: true, StdinOnce: true });
    const session = bench.attachments.attach(container, all);
    const output = textOf(session.output);
    const data = Buffer.alloc(200_000, "y");
    const written = session.writeStdin(data);
    await bench.start(container);
    expect(await written).toBe(true);
    session.endStdin();
    expect((await output).join("")).toBe(`stdout:${data.toString()}done\n`);
  });

  test("stdin without StdinOnce: the end of one client's input ends that client only", async () => {
    const container = await bench.run({ Cmd: ["cat"], OpenStdin: true });
    const first = bench.attachments.attach(container, all);
    const seen = textOf(first.output);
    first.endStdin();
    expect(await seen).toEqual([]);
    const second = bench.attachments.attach(container, all);
    const output = second.output[Symbol.asyncIterator]();
    await second.writeStdin(Buffer.from("still here\n"));
    expect((await output.next()).value?.data.toString()).toBe("still here\n");
    second.detach();
    expect(container.alive).toBe(true);
  });

  test("a container without stdin takes none, and a half-close changes nothing", async () => {
    const container = await bench.run({ Cmd: ["sh", "-c", "sleep 0.3; echo later"] });
    const session = bench.attachments.attach(container, all);
    expect(await session.writeStdin(Buffer.from("x"))).toBe(false);
    session.endStdin();
    expect(await textOf(session.output)).toEqual(["stdout:later\n"]);
  });

  test("two clients see the same, and one that leaves does not disturb the other", async () => {
    const container = bench.create({ Cmd: ["sh", "-c", "echo a; sleep 0.3; echo b"] });
    const [one, two] = [bench.attachments.attach(container, all), bench.attachments.attach(container, all)];
    const stays = textOf(two.output);
    await bench.start(container);
    await one.output[Symbol.asyncIterator]().next();
    one.detach();
    expect((await stays).join("")).toBe("stdout:a\nb\n");
  });

  test("history and then what follows, without gap and without repetition", async () => {
    const container = await bench.run({ Cmd: ["sh", "-c", "for i in 1 2 3 4 5 6; do echo $i; sleep 0.05; done"] });
    await pause(100);
    const session = bench.attachments.attach(container, { ...all, logs: true });
    expect((await textOf(session.output)).join("")).toBe("stdout:1\n2\n3\n4\n5\n6\n");
  });

  test("a terminal: merged output, a size that can be changed, keys that detach", async () => {
    const container = await bench.run({ Cmd: ["sh"], Tty: true, OpenStdin: true });
    const session = bench.attachments.attach(container, all);
    let text = "";
    const reading = (async () => {
      for await (const { stream, data } of session.output) text += stream === "console" ? data.toString() : "?";
    })();
    bench.attachments.resize(container, 33, 77);
    // The monitor takes the size at its own pace.
    await until("size", () => {
      void session.writeStdin(Buffer.from("stty size\n"));
      return text.includes("33 77\r\n");
    });
    await session.writeStdin(Buffer.from("echo e >&2\n"));
    await until("stderr", () => text.includes("\r\ne\r\n"));
    expect(await session.writeStdin(Buffer.from("\x10\x11"))).toBe(false);
    await reading;
    expect(bench.events).toEqual(expect.arrayContaining(["resize", "detach"]));
    expect(container.alive).toBe(true);
    expect(() => bench.attachments.resize(container, 5000, 10)).toThrow("invalid terminal size: 5000 x 10");
  });

  test("a slow reader gets everything, one that stands still is cut off and the container goes on", async () => {
    const container = bench.create(
      { Cmd: ["sh", "-c", "head -c 40000000 /dev/zero; sleep 1000"] },
      { LogConfig: { Type: "none" } },
    );
    const [slow, still] = [bench.attachments.attach(container, all), bench.attachments.attach(container, all)];
    const stuck = still.output[Symbol.asyncIterator]();
    await bench.start(container);
    let size = 0;
    for await (const { data } of slow.output) {
      size += data.length;
      if (size >= 40_000_000) break;
    }
    expect(size).toBe(40_000_000);
    await expect(
      (async () => {
        for (;;) if ((await stuck.next()).done === true) return;
      })(),
    ).rejects.toThrow("took nothing for too long");
  });

  test("bad detach keys are refused", () => {
    const container = bench.create({ Cmd: ["true"] });
    expect(() => bench.attachments.attach(container, { ...all, detachKeys: "zz-q" })).toThrow(
      "Invalid detach keys (zz-q) provided",
    );
  });
});
