import { execFileSync } from "node:child_process";
import { writeFileSync, existsSync, readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { EngineProcess, until } from "../../support/engine-process.ts";

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

test("a container whose files cannot be removed is dead, is not started again, and goes once they can", async () => {
  const id = await engine.create(["true"], {}, {}, "stuck");
  const file = join(engine.dataRoot, "containers", id, "upper", "immutable");
  writeFileSync(file, "");
  execFileSync("chattr", ["+i", file]);
  const container = engine.docker.getContainer(id);
  try {
    await expect(container.remove()).rejects.toThrow("unable to remove filesystem");
    const dead = { Status: "dead", Dead: true, Running: false };
    expect((await engine.inspect("stuck")).State).toMatchObject(dead);
    expect(await engine.docker.listContainers({ all: true, filters: { status: ["dead"] } })).toMatchObject([
      { Id: id, State: "dead", Status: "Dead" },
    ]);
    await expect(container.start()).rejects.toThrow("marked for removal");
    await engine.kill("SIGKILL");
    await engine.launch();
    expect((await engine.inspect("stuck")).State).toMatchObject(dead);
  } finally {
    execFileSync("chattr", ["-i", file]);
  }
  await container.remove();
  await expect(engine.inspect(id)).rejects.toThrow("No such container");
  expect(existsSync(join(engine.dataRoot, "containers", id))).toBe(false);
});

test("auto-remove and `rm -f` that meet are one removal", async () => {
  const recording = engine.record();
  await new Promise((done) => setTimeout(done, 100));
  for (let round = 0; round < 5; round++) {
    const id = await engine.run(["sleep", "1000"], { AutoRemove: true });
    const container = engine.docker.getContainer(id);
    const outcomes = await Promise.allSettled([
      container.kill(),
      ...Array.from({ length: 3 }, () => container.remove({ force: true })),
    ]);
    for (const outcome of outcomes) {
      if (outcome.status === "rejected") expect(String(outcome.reason)).toMatch(/No such container|not running/);
    }
    await expect(engine.inspect(id)).rejects.toThrow("No such container");
    await until(() => recording.events.some(({ Action, Actor }) => Action === "destroy" && Actor.ID === id));
  }
  recording.stop();
  expect(recording.events.filter(({ Action }) => Action === "destroy")).toHaveLength(5);
});

test("no container is called running without a process, within a second of the death of its monitor", async () => {
  const ids = await Promise.all(Array.from({ length: 5 }, () => engine.run(["sleep", "1000"])));
  const pids = await Promise.all(ids.map(async (id) => (await engine.inspect(id)).State.Pid));
  for (const id of ids) {
    process.kill(Number(readFileSync(join(engine.runRoot, "c", id, "conmon.pid"), "utf8")), "SIGKILL");
  }
  await until(async () => {
    const states = await Promise.all(ids.map(async (id) => (await engine.inspect(id)).State));
    return states.every(({ Status, ExitCode }) => Status === "exited" && ExitCode === 137);
  }, 5000);
  const alive = readdirSync("/proc").filter((pid) => pids.includes(Number(pid)) && existsSync(`/proc/${pid}/exe`));
  expect(alive).toEqual([]);
  await Promise.all(ids.map((id) => engine.docker.getContainer(id).remove()));
});
