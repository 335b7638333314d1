import { existsSync, readdirSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Container } from "../../../src/engine/containers/container.ts";
import { Bench, textOf, until } from "./bench-container.ts";

let bench: Bench;
let container: Container;
beforeAll(async () => {
  bench = new Bench();
  container = await bench.run({ Cmd: ["sleep", "1000"], Env: ["FROM=container"] });
});
afterAll(async () => bench.close());

describe("exec", () => {
  test("output is split, the exit code is known when it ends, and nothing stays behind", async () => {
    const result = await bench.exec(container, "sh", "-c", "echo out; echo err >&2; exit 4");
    expect(result.output.toSorted()).toEqual(["stderr:err\n", "stdout:out\n"]);
    expect(result).toMatchObject({ Running: false, ExitCode: 4, ContainerID: container.id });
    expect(result.Pid).toBeGreaterThan(0);
    expect(readdirSync(container.paths.bundle).filter((name) => name.startsWith("exec-"))).toEqual([]);
    expect(container.execIds.size).toBe(0);
  });

  test("a program may open its own /dev/stdout and /dev/stderr", async () => {
    const { output } = await bench.exec(container, "sh", "-c", "echo a > /proc/self/fd/1; echo b > /proc/self/fd/2");
    expect(output.toSorted()).toEqual(["stderr:b\n", "stdout:a\n"]);
  });

  test("it sees the container's environment and is confined as the container is", async () => {
    const { output } = await bench.exec(container, "sh", "-c", "echo $FROM; cat /proc/self/status; ls /proc/self/fd");
    const text = output.join("");
    expect(text).toContain("container\n");
    expect(text).toMatch(/CapEff:\s+0000000000000021/);
    expect(text).toMatch(/CapInh:\s+0000000000000000/);
    expect(text).toMatch(/NoNewPrivs:\s+1/);
    expect(text).toMatch(/Seccomp:\s+2/);
    expect(text.trim().split("\n").slice(-4)).toEqual(["0", "1", "2", "3"]); // 3 is the listing of the directory itself
  });

  test("another user has no capabilities", async () => {
    const { Id } = await bench.execs.create(container.id, {
      Cmd: ["cat", "/proc/self/status"],
      User: "7",
      AttachStdout: true,
    });
    const session = await bench.execs.start(Id, { detach: false, tty: false, consoleSize: undefined });
    const [text] = await textOf(session?.output ?? []);
    expect(text).toMatch(/Uid:\s+7\s+7/);
    expect(text).toMatch(/CapEff:\s+0000000000000000/);
  });

  test("stdin reaches it and its end ends it", async () => {
    const { Id } = await bench.execs.create(container.id, { Cmd: ["cat"], AttachStdin: true, AttachStdout: true });
    const session = await bench.execs.start(Id, { detach: false, tty: false, consoleSize: undefined });
    const data = Buffer.alloc(300_000, "x");
    const output = textOf(session?.output ?? []);
    expect(await session?.writeStdin(data)).toBe(true);
    session?.endStdin();
    expect((await output).join("")).toBe(`stdout:${data.toString()}`);
    expect((await bench.execs.inspect(Id)).ExitCode).toBe(0);
  });

  test.each([
    [["/nonexistent"], 127, 'exec: "/nonexistent": stat /nonexistent: no such file or directory'],
    [["nonexistent"], 127, 'exec: "nonexistent": executable file not found in $PATH'],
    [["/etc/passwd"], 126, 'exec: "/etc/passwd": permission denied'],
  ])("%j cannot be started: exit code %i and the reason as output", async (command, exitCode, reason) => {
    const result = await bench.exec(container, ...command);
    expect(result.output).toEqual([
      `stdout:OCI runtime exec failed: exec failed: unable to start container process: ${reason}\r\n`,
    ]);
    expect(result.ExitCode).toBe(exitCode);
  });

  test("death by a signal is 128 + its number", async () => {
    expect(await bench.exec(container, "sh", "-c", "kill -9 $$")).toMatchObject({ ExitCode: 137 });
  });

  test("a terminal has the size asked for, follows a resize, and merges the streams", async () => {
    const config = { Cmd: ["sh"], Tty: true, AttachStdin: true, AttachStdout: true, AttachStderr: true };
    const { Id } = await bench.execs.create(container.id, config);
    const session = await bench.execs.start(Id, { detach: false, tty: true, consoleSize: [24, 81] });
    let text = "";
    const reading = (async () => {
      for await (const { stream, data } of session?.output ?? []) text += stream === "console" ? data.toString() : "?";
    })();
    await session?.writeStdin(Buffer.from("stty size\n"));
    await until("first size", () => text.includes("24 81\r\n"));
    await bench.execs.resize(Id, 40, 100);
    await session?.writeStdin(Buffer.from("stty size; echo e >&2\n"));
    await until("second size", () => text.includes("40 100\r\ne\r\n"));
    await session?.writeStdin(Buffer.from("exit 6\n"));
    await reading;
    expect(await bench.execs.inspect(Id)).toMatchObject({ ExitCode: 6, Running: false });
  });

  test("the detach keys leave it running", async () => {
    const config = { Cmd: ["sh"], Tty: true, AttachStdin: true, AttachStdout: true, DetachKeys: "ctrl-x,x" };
    const { Id } = await bench.execs.create(container.id, config);
    const session = await bench.execs.start(Id, { detach: false, tty: true, consoleSize: undefined });
    const output = textOf(session?.output ?? []);
    await until("pid", () => existsSync(`${container.paths.bundle}/exec-${Id.slice(0, 12)}.pid`));
    expect(await session?.writeStdin(Buffer.from("\x18x"))).toBe(false);
    await output;
    expect(bench.events).toContain("exec_detach");
    expect((await bench.execs.inspect(Id)).Running).toBe(true);
  });

  test("detached it runs on its own, and the second start is refused", async () => {
    const { Id } = await bench.execs.create(container.id, { Cmd: ["true"] });
    expect(await bench.execs.start(Id, { detach: true, tty: false, consoleSize: undefined })).toBeUndefined();
    await expect(bench.execs.start(Id, { detach: true, tty: false, consoleSize: undefined })).rejects.toThrow(
      /Exec command .* (is already running|has already run)/,
    );
  });

  test("a reader that is slower than the command gets everything", async () => {
    const { Id } = await bench.execs.create(container.id, {
      Cmd: ["head", "-c", "8000000", "/dev/zero"],
      AttachStdout: true,
    });
    const session = await bench.execs.start(Id, { detach: false, tty: false, consoleSize: undefined });
    let size = 0;
    for await (const { data } of session?.output ?? []) {
      size += data.length;
      await new Promise((resolve) => setImmediate(resolve));
    }
    expect(size).toBe(8_000_000);
  });

  test("unknown ones, empty commands and containers that do not run are refused", async () => {
    await expect(bench.execs.create(container.id, { Cmd: [] })).rejects.toThrow("No exec command specified");
    await expect(bench.execs.create("nope", { Cmd: ["true"] })).rejects.toThrow("No such container: nope");
    expect(() => bench.execs.inspect("nope")).toThrow("No such exec instance: nope");
    const other = bench.create({ Cmd: ["true"] });
    await expect(bench.execs.create(other.id, { Cmd: ["true"] })).rejects.toThrow(
      `container ${other.id} is not running`,
    );
  });
});
