import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import { gzipSync } from "node:zlib";
import { afterAll, beforeAll, expect, test } from "vitest";
import { EngineProcess, until } from "../../support/engine-process.ts";
import { execIn, tarOf } from "../engine-streams/engine-exec.ts";

/** What the engine does for a container it does with its own programs, in its own files. Source: security.md E-06, E-23, E-25, E-26. */

let engine: EngineProcess;
beforeAll(async () => {
  engine = await EngineProcess.start();
});
afterAll(async () => {
  try {
    expect(await engine.leaks()).toEqual([]);
  } finally {
    await engine.dispose();
  }
});

test("a container's own decompressors, ps and tar are never run for it", async () => {
  const names = "gzip gunzip pigz unpigz xz unxz zstd bzip2 bunzip2 ps nsenter tar sh.real";
  const fakes = `for n in ${names}; do for d in /bin /usr/bin /usr/local/bin; do mkdir -p $d; rm -f $d/$n; printf '#!/bin/busybox.real sh\\ntouch /ran-%s\\n' $n > $d/$n; chmod 755 $d/$n; done; done`;
  const id = await engine.run(["sh", "-c", `${fakes}; echo ready; exec sleep 1000`]);
  const container = engine.docker.getContainer(id);
  await until(async () => (await container.logs({ stdout: true })).includes("ready"));
  await container.putArchive(gzipSync(tarOf({ note: "packed" })), { path: "/" });
  for (const magic of ["fd377a585a00", "28b52ffd", "425a6839"]) {
    const packed = Buffer.concat([Buffer.from(magic, "hex"), Buffer.alloc(512)]);
    await expect(container.putArchive(packed, { path: "/" })).rejects.toThrow("are not accepted");
  }
  expect((await container.top()).Processes.map((row) => row.at(-1))).toEqual(["sleep 1000"]);
  await container.getArchive({ path: "/note" }).then((stream) => stream.resume());
  const { out } = await execIn(engine, id, "sh", "-c", "echo /ran-*; cat /note");
  expect(out).toBe("/ran-*\npacked");
  await container.remove({ force: true });
});

test("the console of a container with a terminal is a terminal of its own", async () => {
  const id = await engine.run(["sh", "-c", "ls -l /dev/console; tty; sleep 1000"], {}, { Tty: true });
  const container = engine.docker.getContainer(id);
  await until(async () => (await container.logs({ stdout: true })).includes("/dev/pts/0"));
  expect((await container.logs({ stdout: true })).toString()).toMatch(/^crw\S+ .*136, +\d+ .*\/dev\/console\r\n/);
  await container.remove({ force: true });
});

test("neither the engine nor its monitors have a socket that a container on the host's network could reach", async () => {
  const id = await engine.run(["sleep", "1000"], { NetworkMode: "host" });
  const monitor = readFileSync(`${engine.runRoot}/c/${id}/conmon.pid`, "utf8").trim();
  const inodes = new Set([...socketsOf(engine.pid), ...socketsOf(Number(monitor))]);
  expect(inodes.size).toBeGreaterThan(0);
  const { out } = await execIn(engine, id, "cat", "/proc/net/unix");
  const ours = out.split("\n").filter((line) => inodes.has(line.trim().split(/\s+/)[6] ?? ""));
  expect(ours.length).toBeGreaterThan(0);
  expect(ours.filter((line) => line.includes("@"))).toEqual([]);
  await engine.docker.getContainer(id).remove({ force: true });
});

function socketsOf(pid: number): readonly string[] {
  return readdirSync(`/proc/${pid}/fd`).flatMap((fd) => {
    try {
      return /^socket:\[(\d+)\]$/.exec(readlinkSync(`/proc/${pid}/fd/${fd}`))?.[1] ?? [];
    } catch {
      return []; // closed meanwhile
    }
  });
}

test.each([
  [{ Type: "syslog" }, 'logging driver "syslog" is not supported'],
  [{ Type: "journald" }, 'logging driver "journald" is not supported'],
  [{ Type: "json-file", Config: { "max-sise": "1m" } }, "unknown log opt 'max-sise' for json-file log driver"],
  [{ Type: "local", Config: { "max-size": "much" } }, "invalid size: 'much'"],
  [{ Type: "json-file", Config: { "max-file": "0" } }, "max-file cannot be less than 1"],
])("logging as in %j is refused when the container is made, by name", async (LogConfig, words) => {
  await expect(engine.create(["true"], { LogConfig })).rejects.toThrow(words);
});
