import { closeSync, readFileSync } from "node:fs";
import { text } from "node:stream/consumers";
import { expect, test } from "vitest";
import { spawnPiped } from "../../../src/host/child.ts";
import { openPty, openTerminal, setTerminalSize } from "../../../src/host/terminal.ts";

const all = { stdin: true, stdout: true, stderr: true };
async function textOf(stream: ReturnType<typeof spawnPiped>["stdout"]): Promise<string> {
  return stream === undefined ? "" : text(stream);
}
const sh = (script: string) => ["/bin/sh", "-c", script];

test("stdio are pipes, which a program can open by their names", async () => {
  const child = spawnPiped(sh("cat; echo out > /dev/stdout; echo err > /dev/stderr; exit 3"), all);
  child.stdin?.end("in ");
  const [out, err] = await Promise.all([textOf(child.stdout), textOf(child.stderr)]);
  expect([out, err, await child.exited]).toEqual(["in out\n", "err\n", 3]);
});

test("what is not asked for is /dev/null", async () => {
  const child = spawnPiped(sh("readlink /proc/self/fd/0 /proc/self/fd/2"), { ...all, stdin: false, stderr: false });
  expect([child.stdin, child.stderr]).toEqual([undefined, undefined]);
  expect(await textOf(child.stdout)).toBe("/dev/null\n/dev/null\n");
});

test("its environment is given, not inherited, and it has a session of its own", async () => {
  const child = spawnPiped(sh("env; cat /proc/self/stat"), { ...all, stdin: false, stderr: false });
  const output = await textOf(child.stdout);
  expect(output).not.toContain("HOME=");
  const session = (line: string): string | undefined => line.slice(line.lastIndexOf(")") + 2).split(" ")[3];
  expect(session(output)).not.toBe(session(readFileSync("/proc/self/stat", "utf8")));
});

test("death by a signal is 128 + its number; a program that is not there rejects", async () => {
  const child = spawnPiped(["/bin/sleep", "100"], { stdin: false, stdout: false, stderr: false });
  child.kill("SIGTERM");
  expect(await child.exited).toBe(143);
  await expect(spawnPiped(["/no/such/program"], { ...all, stdin: false }).exited).rejects.toThrow("ENOENT");
});

test("a terminal has a size, and ends with its last user", async () => {
  const { master, slave } = openPty();
  setTerminalSize(master, 33, 77);
  const child = spawnPiped(sh("stty size; tty"), { stdin: false, stdout: false, stderr: false, terminal: slave });
  closeSync(slave);
  const stream = openTerminal(master);
  let output = "";
  stream.on("data", (data: Buffer) => (output += data.toString()));
  stream.on("error", (error) => expect(error.message).toBe("read EIO"));
  await new Promise((resolve) => stream.on("close", resolve));
  expect(output).toMatch(/^33 77\r\n\/dev\/pts\/\d+\r\n$/);
  expect(await child.exited).toBe(0);
});
