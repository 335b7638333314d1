/** Readers that never read: they cost the engine little memory, and the containers nothing. TSCOMPOSE_READERS: of logs and of attach
 *  each (100 at full size); TSCOMPOSE_READERS_SECONDS: for how long. Source: reliability.md REL-23. */
import { readFileSync } from "node:fs";
import { connect, type Socket } from "node:net";
import { afterAll, beforeAll, expect, test } from "vitest";
import { EngineProcess } from "../../support/engine-process.ts";
import { buildProgram } from "../../support/programs.ts";

const count = Number(process.env["TSCOMPOSE_READERS"] ?? 20);
const seconds = Number(process.env["TSCOMPOSE_READERS_SECONDS"] ?? 3);
const lines = seconds * 65_536; // 4 MiB a second

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

const residentMiB = (): number =>
  Number(/^VmRSS:\s*(\d+)/m.exec(readFileSync(`/proc/${engine.pid}/status`, "latin1"))?.[1]) / 1024;

/** Asks, and reads nothing of the answer. */
function ask(method: string, path: string): Socket {
  const socket = connect(engine.socket);
  socket.pause();
  socket.on("error", () => undefined); // it is cut off in the end
  socket.write(
    `${method} ${path} HTTP/1.1\r\nHost: d\r\nConnection: Upgrade\r\nUpgrade: tcp\r\nContent-Length: 0\r\n\r\n`,
  );
  return socket;
}

/** How long a container takes for what it has to write. */
async function timeToWrite(during: (id: string) => readonly Socket[]): Promise<{ took: number; grown: number }> {
  const program = { Binds: [`${await buildProgram("line-writer")}:/t:ro`] };
  const id = await engine.run(["/t/line-writer", "/go", String(lines), String(seconds)], program);
  const before = residentMiB();
  const readers = during(id);
  await new Promise((resolve) => setTimeout(resolve, 300));
  const exec = await engine.docker.getContainer(id).exec({ Cmd: ["touch", "/go"] });
  await exec.start({ Detach: true });
  const begin = performance.now();
  await engine.docker.getContainer(id).wait();
  const took = performance.now() - begin;
  const grown = residentMiB() - before;
  for (const reader of readers) reader.destroy();
  await engine.docker.getContainer(id).remove({ force: true });
  return { took, grown };
}

test("readers that never read neither slow a container down nor fill the engine's memory", async () => {
  const alone = await timeToWrite(() => []);
  const each = (make: () => Socket, number: number): Socket[] => Array.from({ length: number }, make);
  const watched = await timeToWrite((id) => [
    ...each(() => ask("GET", `/containers/${id}/logs?follow=1&stdout=1`), count),
    ...each(() => ask("POST", `/containers/${id}/attach?stream=1&stdout=1`), count),
    ...each(() => ask("GET", "/events"), count / 5),
    ...each(() => ask("GET", `/containers/${id}/stats`), count / 5),
  ]);
  const readers = 2 * count + (2 * count) / 5;
  console.info(
    `${readers} readers: ${(watched.took / alone.took).toFixed(2)} of the time without, ` +
      `${(watched.grown / readers).toFixed(2)} MiB each`,
  );
  expect(watched.took).toBeLessThan(alone.took * 2 + 1000);
  expect(watched.grown - Math.max(0, alone.grown)).toBeLessThan(readers + 48);
}, 300_000);
