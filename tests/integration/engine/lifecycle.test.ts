import { readFileSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
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

const status = (statusCode: number, message: unknown = expect.any(String)): object => ({
  message,
  details: expect.objectContaining({ statusCode }),
});
const sleeper = ["sh", "-c", "trap 'exit 0' TERM; while :; do sleep 0.1; done"];

describe("a container", () => {
  test("is created, runs, ends with its exit code, and is removed", async () => {
    const id = await engine.create(["sh", "-c", "echo out; echo err >&2; exit 3"], {}, {}, "first");
    expect((await engine.inspect(id)).State).toMatchObject({ Status: "created", Running: false, Pid: 0, ExitCode: 0 });
    const container = engine.docker.getContainer(id);
    await container.start();
    expect(await container.wait()).toMatchObject({ StatusCode: 3 });
    const { State, Name } = await engine.inspect("first");
    expect(Name).toBe("/first");
    expect(State).toMatchObject({ Status: "exited", Running: false, ExitCode: 3, OOMKilled: false });
    expect(Date.parse(State.FinishedAt)).toBeGreaterThanOrEqual(Date.parse(State.StartedAt));
    await container.remove();
    await expect(engine.inspect(id)).rejects.toMatchObject(status(404));
  });

  test("keeps its files from one run to the next", async () => {
    const id = await engine.run(["sh", "-c", "echo x >> /count; wc -l < /count"]);
    const container = engine.docker.getContainer(id);
    await container.wait();
    await container.start();
    await container.wait();
    expect((await container.logs({ stdout: true })).toString()).toMatch(/1\n[^]*2\n/);
    await container.remove();
  });

  test("started when it runs, and stopped when it does not, is not modified", async () => {
    const id = await engine.run(sleeper);
    const container = engine.docker.getContainer(id);
    await expect(container.start()).rejects.toMatchObject(status(304));
    await container.stop();
    await expect(container.stop()).rejects.toMatchObject(status(304));
    await container.remove();
  });

  test("that runs is removed only by force", async () => {
    const id = await engine.run(sleeper);
    const container = engine.docker.getContainer(id);
    await expect(container.remove()).rejects.toMatchObject(status(409));
    await container.remove({ force: true });
  });

  test("ends by a signal with 128 + its number", async () => {
    const id = await engine.run(["sleep", "1000"]);
    const container = engine.docker.getContainer(id);
    const wait = container.wait();
    await container.kill();
    expect(await wait).toMatchObject({ StatusCode: 137 });
    await expect(container.kill()).rejects.toMatchObject(status(409));
    await container.remove();
  });

  test("has every byte of its output when `wait` answers", async () => {
    for (let i = 0; i < 5; i++) {
      const { out } = await engine.finish(["sh", "-c", "i=0; while [ $i -lt 200 ]; do echo line $i; i=$((i+1)); done"]);
      expect(out.split("\n")).toHaveLength(201);
    }
  });

  test("started no later than its first line of output", async () => {
    const id = await engine.run(["echo", "hi"]);
    const container = engine.docker.getContainer(id);
    await container.wait();
    const { State, LogPath } = await engine.inspect(id);
    expect((readFileSync(LogPath, "utf8").split(" ")[0] ?? "") >= State.StartedAt.replace("Z", "+00:00")).toBe(true);
    await container.remove();
  });
});

describe("stop", () => {
  test("lets a program that handles the signal end by itself", async () => {
    const id = await engine.run(["sh", "-c", "trap 'echo bye; exit 5' TERM; echo up; while :; do sleep 0.05; done"]);
    const container = engine.docker.getContainer(id);
    await until(async () => (await container.logs({ stdout: true })).includes("up"));
    await container.stop();
    expect((await engine.inspect(id)).State.ExitCode).toBe(5);
    await container.remove();
  });

  test("does not wait for a program that cannot receive the signal, and says why", async () => {
    const id = await engine.run(["sleep", "1000"]);
    const container = engine.docker.getContainer(id);
    const begin = performance.now();
    await container.stop();
    expect(performance.now() - begin).toBeLessThan(2000); // the grace period is ten seconds
    expect((await engine.inspect(id)).State.ExitCode).toBe(137);
    expect(engine.log).toContain("cannot receive SIGTERM");
    expect(engine.log).toContain("init: true");
    await container.remove();
  });

  test("waits out a grace period that was asked for", async () => {
    const id = await engine.run(["sleep", "1000"], {}, { StopTimeout: 1 });
    const container = engine.docker.getContainer(id);
    const begin = performance.now();
    await container.stop();
    expect(performance.now() - begin).toBeGreaterThanOrEqual(1000);
    await container.remove();
  });

  test("sends the signal that the container asks for", async () => {
    const id = await engine.run(
      ["sh", "-c", "trap 'exit 9' USR1; while :; do sleep 0.05; done"],
      {},
      { StopSignal: "SIGUSR1" },
    );
    const container = engine.docker.getContainer(id);
    await container.stop();
    expect((await engine.inspect(id)).State.ExitCode).toBe(9);
    await container.remove();
  });
});

describe("a program that cannot be started", () => {
  test.each([
    [["/nonexistent"], 127, "no such file or directory"],
    [["nonexistent"], 127, "executable file not found in $PATH"],
    [["/etc"], 126, "is a directory"],
    [["/etc/passwd"], 126, "permission denied"],
  ])("%j fails the start with Docker's words and exit code %i", async (cmd, code, words) => {
    const id = await engine.create(cmd);
    const container = engine.docker.getContainer(id);
    await expect(container.start()).rejects.toMatchObject(status(400, expect.stringContaining(words)));
    expect((await engine.inspect(id)).State).toMatchObject({ Status: "created", ExitCode: code });
    await container.remove();
  });
  test("and removes itself with auto-remove, as 127 for whoever waits", async () => {
    const id = await engine.create(["/nonexistent"], { AutoRemove: true });
    const container = engine.docker.getContainer(id);
    const { result } = await container.beginWait({ condition: "removed" });
    await expect(container.start()).rejects.toMatchObject(status(400));
    expect(await result).toMatchObject({ StatusCode: 127 });
    await expect(engine.inspect(id)).rejects.toMatchObject(status(404));
  });
});

describe("restart policies", () => {
  test("`always` brings it back, until it is stopped", async () => {
    const id = await engine.run(["sh", "-c", "exit 1"], { RestartPolicy: { Name: "always" } });
    await until(async () => (await engine.inspect(id)).RestartCount >= 2);
    const container = engine.docker.getContainer(id);
    await container.stop();
    const { State, RestartCount } = await engine.inspect(id);
    expect(State.Status).toBe("exited");
    await new Promise((done) => setTimeout(done, 1500));
    expect((await engine.inspect(id)).RestartCount).toBe(RestartCount);
    await container.remove();
  });
  test("`on-failure` gives up after its retries", async () => {
    const id = await engine.run(["sh", "-c", "exit 4"], {
      RestartPolicy: { Name: "on-failure", MaximumRetryCount: 2 },
    });
    const container = engine.docker.getContainer(id);
    expect(await container.wait()).toMatchObject({ StatusCode: 4 });
    expect(await engine.inspect(id)).toMatchObject({ RestartCount: 2, State: { Status: "exited", ExitCode: 4 } });
    await container.remove();
  });
});

test("auto-remove leaves nothing, and `wait` for the removal has the exit code", async () => {
  const id = await engine.create(["sh", "-c", "exit 6"], { AutoRemove: true });
  const { result } = await engine.docker.getContainer(id).beginWait({ condition: "removed" });
  await engine.docker.getContainer(id).start();
  expect(await result).toMatchObject({ StatusCode: 6 });
  await expect(engine.inspect(id)).rejects.toMatchObject(status(404));
});

test("a paused container does not run, and goes on afterwards", async () => {
  const id = await engine.run(["sh", "-c", "i=0; while :; do echo $i; i=$((i+1)); sleep 0.02; done"]);
  const container = engine.docker.getContainer(id);
  const lines = async (): Promise<number> => (await container.logs({ stdout: true })).toString().split("\n").length;
  await container.pause();
  expect((await engine.inspect(id)).State).toMatchObject({ Status: "paused", Running: true, Paused: true });
  const before = await lines();
  await new Promise((done) => setTimeout(done, 200));
  expect(await lines()).toBe(before);
  await expect(container.pause()).rejects.toMatchObject(status(409));
  await container.unpause();
  await until(async () => (await lines()) > before);
  await container.pause();
  await container.stop({ t: 0 });
  expect((await engine.inspect(id)).State.Status).toBe("exited");
  await container.remove();
});

test("a rename holds, and a name is nobody else's", async () => {
  const one = await engine.create(["true"], {}, {}, "taken");
  const two = await engine.create(["true"], {}, {}, "other");
  await expect(engine.docker.getContainer(two).rename({ name: "taken" })).rejects.toMatchObject(status(409));
  await expect(engine.create(["true"], {}, {}, "taken")).rejects.toMatchObject(
    status(409, expect.stringContaining(`is already in use by container "${one}"`)),
  );
  await engine.docker.getContainer(two).rename({ name: "free" });
  expect((await engine.inspect("free")).Id).toBe(two);
  for (const id of [one, two]) await engine.docker.getContainer(id).remove();
});

test("events come in Docker's order", async () => {
  const recording = engine.record();
  await new Promise((done) => setTimeout(done, 200));
  const id = await engine.run(sleeper, { NetworkMode: "bridge" }, {}, "eventful");
  const container = engine.docker.getContainer(id);
  await container.restart();
  await container.rename({ name: "eventful2" });
  await container.remove({ force: true });
  await until(() => recording.events.some(({ Action }) => Action === "destroy"));
  recording.stop();
  expect(recording.events.map(({ Type, Action }) => `${Type} ${Action}`)).toEqual([
    "container create",
    "network connect",
    "container start",
    "container kill",
    "network disconnect",
    "container die",
    "container stop",
    "network connect",
    "container start",
    "container restart",
    "container rename",
    "container kill",
    "network disconnect",
    "container die",
    "container destroy",
  ]);
});

test("twenty containers start and stop at once", async () => {
  const ids = await Promise.all(Array.from({ length: 20 }, () => engine.create(sleeper, { NetworkMode: "bridge" })));
  await Promise.all(ids.map((id) => engine.docker.getContainer(id).start()));
  const running = await engine.docker.listContainers();
  expect(running.map(({ Id }) => Id).toSorted()).toEqual(ids.toSorted());
  await Promise.all(ids.map((id) => engine.docker.getContainer(id).remove({ force: true })));
});
