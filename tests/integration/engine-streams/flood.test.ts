/** Four containers that write much: their logs stay within bounds, the others feel little of it, and a follower that reads loses
 *  nothing before the bound. TSCOMPOSE_FLOOD: MiB in all (1024 at full size), at 1 GiB in 10 s; TSCOMPOSE_FLOOD_SECONDS: in another
 *  time, 0 for as fast as they are taken. Source: reliability.md REL-22, REL-23. */
import { execFile } from "node:child_process";
import { existsSync, readdirSync, statSync } from "node:fs";
import { dirname, join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, expect, test } from "vitest";
import { EngineProcess, until } from "../../support/engine-process.ts";
import { buildProgram } from "../../support/programs.ts";

const megabytes = Number(process.env["TSCOMPOSE_FLOOD"] ?? 96);
const seconds = Number(process.env["TSCOMPOSE_FLOOD_SECONDS"] ?? (megabytes / 1024) * 10);
const writers = 4;
const mebibyte = 1024 * 1024;

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

interface Life {
  /** Milliseconds from the request for a container to its process running. */
  readonly start: number;
  /** Until it has ended and is removed. */
  readonly whole: number;
}

async function liveOnce(): Promise<Life> {
  const begin = performance.now();
  const id = await engine.run(["true"]);
  const start = performance.now() - begin;
  const container = engine.docker.getContainer(id);
  await container.wait();
  await container.remove({ v: true });
  const whole = performance.now() - begin;
  await pause(100); // others than the containers that start are measured: they must not be their own flood
  return { start, whole };
}
const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));
const median = (values: readonly number[]): number =>
  values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0;
const shown = (lives: readonly Life[], part: keyof Life): number => Math.round(median(lives.map((life) => life[part])));

test("a flood of output stays within its bounds, others start meanwhile, followers see all of it", async () => {
  const lines = Math.floor((megabytes * mebibyte) / writers / 64);
  const before = await inTurn(9, liveOnce);
  const flood = ["/t/line-writer", "/go", String(lines), String(seconds)];
  const program = { Binds: [`${await buildProgram("line-writer")}:/t:ro`] };
  const ids = await Promise.all(Array.from({ length: writers }, () => engine.run(flood, program)));
  const logs = await Promise.all(ids.map(async (id) => (await engine.inspect(id)).LogPath));
  const [followed = ""] = ids;
  const following = follow(followed, await buildProgram("line-follower"));
  const still = await engine.docker.getContainer(ids[1] ?? "").logs({ follow: true, stdout: true });
  still.pause(); // a follower that never reads
  const begin = performance.now();
  await Promise.all(ids.map(async (id) => await touchGo(id)));
  const ends = Promise.all(ids.map((id) => engine.docker.getContainer(id).wait()));
  let most = 0;
  const meanwhile: Life[] = [];
  let over = false;
  void ends.then(() => (over = true));
  while (!over) {
    meanwhile.push(await liveOnce());
    most = Math.max(most, ...logs.map(diskOf));
  }
  for (const { StatusCode } of await ends) expect(StatusCode).toBe(0);
  const took = (performance.now() - begin) / 1000;
  most = Math.max(most, ...logs.map(diskOf));
  expect(most).toBeLessThanOrEqual(30 * mebibyte);
  const outcome = await following;
  // It may be slower than four writers together: then it is told so. What it has seen has no gap in any case.
  expect(outcome.gap).toBeUndefined();
  if (outcome.error === undefined) expect(outcome.lines).toBe(lines);
  else expect(outcome.error).toMatch(/fell too far behind/);
  console.info(
    `${megabytes} MiB in ${took.toFixed(1)} s; most on disk ${(most / mebibyte).toFixed(1)} MiB each; ` +
      `a start ${shown(meanwhile, "start")} ms meanwhile (${meanwhile.length} times), ${shown(before, "start")} ms before; ` +
      `until it is removed ${shown(meanwhile, "whole")} ms meanwhile, ${shown(before, "whole")} ms before; ` +
      `the follower saw ${outcome.lines} of ${lines} lines${outcome.error === undefined ? "" : " and was cut off"}`,
  );
  still.destroy();
  await until(() => logs.every((log) => diskOf(log) <= 30 * mebibyte));
  await engine.removeAll();
});

async function inTurn<T>(count: number, work: () => Promise<T>): Promise<T[]> {
  const results: T[] = [];
  for (let i = 0; i < count; i++) results.push(await work());
  return results;
}

async function touchGo(id: string): Promise<void> {
  const exec = await engine.docker.getContainer(id).exec({ Cmd: ["touch", "/go"] });
  await exec.start({ Detach: true });
}

/** Bytes of all files of a log. */
function diskOf(log: string): number {
  const folder = dirname(log);
  const sizes = readdirSync(folder)
    .filter((name) => name.startsWith("container.log"))
    .map((name) => {
      const path = join(folder, name);
      const stat = existsSync(path) ? statSync(path, { throwIfNoEntry: false }) : undefined;
      return [`${stat?.ino}`, stat?.size ?? 0] as const;
    });
  return [...new Map(sizes).values()].reduce((sum, size) => sum + size, 0); // a file may have two names
}

interface Seen {
  readonly lines: number;
  /** The first line that was not the one expected. */
  readonly gap: string | undefined;
  readonly error: string | undefined;
}

async function follow(id: string, directory: string): Promise<Seen> {
  const { stdout } = await promisify(execFile)(join(directory, "line-follower"), [engine.socket, id]);
  const [lines = "", gap = "", error = ""] = stdout.split("\n");
  return { lines: Number(lines), gap: gap || undefined, error: error || undefined };
}
