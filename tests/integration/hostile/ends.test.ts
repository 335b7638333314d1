import { rmSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { EngineProcess, until } from "../../support/engine-process.ts";
import { compileHostile, Hostiles } from "./hostile-kit.ts";

/** How containers end, and that the engine says so exactly. All exit codes and signals with TSCOMPOSE_ENDS=all. */

let engine: EngineProcess;
let folder: string;
let hostiles: Hostiles;
beforeAll(async () => {
  folder = compileHostile();
  engine = await EngineProcess.start();
  hostiles = new Hostiles(engine, folder);
});
afterAll(async () => {
  try {
    expect(await engine.leaks()).toEqual([]);
  } finally {
    await engine.dispose();
    rmSync(folder, { recursive: true, force: true });
  }
});

const all = process.env["TSCOMPOSE_ENDS"] === "all";
const codes = Array.from({ length: 256 }, (_, code) => code).filter((code) => all || code % 51 === 0 || code === 127);
const fatal = [1, 2, 3, 4, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 24, 25, 26, 27, 29, 30, 31, 34, 64];
const signals = fatal.filter((number) => all || [1, 6, 9, 15, 31, 64].includes(number));

/** Ten at a time. */
async function inTens<T, R>(values: readonly T[], work: (value: T) => Promise<R>): Promise<R[]> {
  const results: R[] = [];
  for (let at = 0; at < values.length; at += 10)
    results.push(...(await Promise.all(values.slice(at, at + 10).map(work))));
  return results;
}

describe("the exit code of a container", () => {
  test("is its program's, whatever that is", async () => {
    const found = await inTens(codes, async (code) => (await hostiles.finish(["exit", String(code)])).code);
    expect(found).toEqual(codes);
  });

  test("with an init is 128 and the number of the signal that its program died of", async () => {
    const found = await inTens(
      signals,
      async (number) => (await hostiles.finish(["die-of", String(number)], { Init: true })).code,
    );
    expect(found).toEqual(signals.map((number) => 128 + number));
  });

  test("is 139 for one that makes the processor fault, and no core is written anywhere", async () => {
    const id = await hostiles.start(["core"], { Ulimits: [{ Name: "core", Soft: -1, Hard: -1 }] });
    const container = engine.docker.getContainer(id);
    expect((await container.wait()).StatusCode).toBe(139);
    expect((await engine.inspect(id)).State).toMatchObject({ ExitCode: 139, OOMKilled: false });
    await hostiles.remove(id);
  });

  test("is known of one that has closed its output, and not before it has ended", async () => {
    const id = await hostiles.start(["close-all", "7"]);
    expect((await engine.inspect(id)).State.Running).toBe(true);
    expect((await engine.docker.getContainer(id).wait()).StatusCode).toBe(7);
    await hostiles.remove(id);
  });

  test("is 137 with OOMKilled for one that takes more memory than it may", async () => {
    const line = "head -c 200m /dev/zero | tail > /dev/null; exec tail /dev/zero";
    const id = await engine.run(["sh", "-c", line], { Memory: 16 * 1024 * 1024, MemorySwap: 16 * 1024 * 1024 });
    const recording = engine.record();
    expect((await engine.docker.getContainer(id).wait()).StatusCode).toBe(137);
    expect((await engine.inspect(id)).State).toMatchObject({ ExitCode: 137, OOMKilled: true });
    await until(() => recording.events.some(({ Action }) => Action === "die"));
    recording.stop();
    const told = recording.events.map(({ Action }) => Action).filter((action) => action === "oom" || action === "die");
    expect(told).toEqual(["oom", "die"]);
    await hostiles.remove(id);
  });
});

describe("stop", () => {
  test("of a program whose handler comes 60 ms after its start, at once, is that handler's end and not a kill", async () => {
    for (let round = 0; round < 5; round++) {
      const recording = engine.record();
      await new Promise((done) => setTimeout(done, 50));
      const id = await hostiles.start(["late-handler", "60"]);
      await engine.docker.getContainer(id).stop();
      expect((await engine.inspect(id)).State).toMatchObject({ Status: "exited", ExitCode: 42 });
      await until(() => recording.events.some(({ Action }) => Action === "stop"));
      recording.stop();
      const kills = recording.events.filter(({ Action }) => Action === "kill");
      expect(kills.map(({ Actor }) => Actor.Attributes["signal"])).toEqual(["15"]);
      await hostiles.remove(id);
    }
  });

  test("of one that ignores everything takes its grace period and then its life", async () => {
    const id = await hostiles.start(["deaf", "60000"], { ready: true });
    const recording = engine.record();
    await new Promise((done) => setTimeout(done, 50));
    const begin = performance.now();
    await engine.docker.getContainer(id).stop({ t: 1 });
    expect(performance.now() - begin).toBeGreaterThanOrEqual(990);
    expect((await engine.inspect(id)).State.ExitCode).toBe(137);
    await until(() => recording.events.some(({ Action }) => Action === "stop"));
    recording.stop();
    const kills = recording.events.filter(({ Action }) => Action === "kill");
    expect(kills.map(({ Actor }) => Actor.Attributes["signal"])).toEqual(["15", "9"]);
    await hostiles.remove(id);
  });

  test("with an init reaches the program behind it", async () => {
    const id = await engine.run(["sleep", "1000"], { Init: true });
    await engine.docker.getContainer(id).stop();
    expect((await engine.inspect(id)).State.ExitCode).toBe(143);
    await engine.docker.getContainer(id).remove();
  });

  test("with an init reaches it however soon after the start, and lets it end by itself", async () => {
    for (let round = 0; round < 15; round += 1) {
      const id = await engine.run(["sleep", "1000"], { Init: true });
      await engine.docker.getContainer(id).stop();
      expect((await engine.inspect(id)).State.ExitCode).toBe(143);
      await engine.docker.getContainer(id).remove();
    }
  });

  test("of a program that waits for its signals instead of handling them lets it take them", async () => {
    const id = await hostiles.start(["wait-for-signal"], { ready: true });
    await engine.docker.getContainer(id).stop();
    expect((await engine.inspect(id)).State.ExitCode).toBe(43);
    await hostiles.remove(id);
  });
});
