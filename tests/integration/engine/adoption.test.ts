import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { EngineProcess, splitFrames, until } from "../../support/engine-process.ts";

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

const counter = ["sh", "-c", "i=0; while :; do echo $i; i=$((i+1)); sleep 0.02; done"];

/** Numbers in the log, which must follow each other without a gap. */
async function countedLines(id: string): Promise<number> {
  const { out } = splitFrames(await engine.docker.getContainer(id).logs({ stdout: true }));
  const numbers = out.trim().split("\n").map(Number);
  expect(numbers).toEqual(numbers.map((_, index) => index));
  return numbers.length;
}

describe.each(["SIGKILL", "SIGTERM"] as const)("after the engine ended by %s", (signal) => {
  test("everything that ran still runs, and is stopped, entered and read as before", async () => {
    const ids = await Promise.all(
      Array.from({ length: 5 }, () => engine.run(counter, { NetworkMode: "bridge" }, { StopTimeout: 0 })),
    );
    const before = await Promise.all(ids.map(async (id) => (await engine.inspect(id)).State));
    await engine.kill(signal);
    for (const { Pid } of before) expect(existsSync(`/proc/${Pid}`)).toBe(true);
    await engine.launch();
    for (const [index, id] of ids.entries()) {
      const { State, NetworkSettings } = await engine.inspect(id);
      expect(State).toMatchObject({ Status: "running", Pid: before[index]?.Pid, StartedAt: before[index]?.StartedAt });
      expect(NetworkSettings.Networks["bridge"]?.IPAddress).not.toBe("");
      const seen = await countedLines(id);
      await until(async () => (await countedLines(id)) > seen);
    }
    const [first = ""] = ids;
    const exec = await engine.docker.getContainer(first).exec({ Cmd: ["sh", "-c", "exit 4"] });
    await exec.start({ Detach: true });
    await until(async () => (await exec.inspect()).ExitCode === 4);
    await Promise.all(ids.map((id) => engine.docker.getContainer(id).stop()));
    expect((await engine.inspect(first)).State.Status).toBe("exited");
    await engine.docker.getContainer(first).start();
    await engine.removeAll();
  });

  test("what has ended meanwhile is known with its exit code and time, and told once", async () => {
    const codes = [0, 1, 7, 143];
    const ids = await Promise.all(codes.map((code) => engine.run(["sh", "-c", `sleep 0.5; exit ${code}`])));
    const pids = await Promise.all(ids.map(async (id) => (await engine.inspect(id)).State.Pid));
    await engine.kill(signal);
    await until(() => pids.every((pid) => !existsSync(`/proc/${pid}`)));
    const ended = Date.now();
    await new Promise((done) => setTimeout(done, 300));
    await engine.launch();
    for (const [index, id] of ids.entries()) {
      const { State } = await engine.inspect(id);
      expect(State).toMatchObject({ Status: "exited", ExitCode: codes[index], Error: "" });
      expect(Date.parse(State.FinishedAt)).toBeLessThanOrEqual(ended + 50);
    }
    await engine.removeAll();
  });

  test("restart policies go on", async () => {
    const policy = { RestartPolicy: { Name: "always" } } as const;
    const id = await engine.run(["sh", "-c", "sleep 0.3; exit 1"], policy);
    const { Pid } = (await engine.inspect(id)).State;
    await engine.kill(signal);
    await until(() => !existsSync(`/proc/${Pid}`));
    await engine.launch();
    await until(async () => (await engine.inspect(id)).RestartCount >= 1);
    await until(async () => (await engine.inspect(id)).State.Status === "running");
    await engine.removeAll();
  });
});

test("a container whose monitor was killed is ended, recorded, and can be started again", async () => {
  const id = await engine.run(["sleep", "1000"]);
  const { Pid } = (await engine.inspect(id)).State;
  const monitor = Number(readFileSync(join(engine.runRoot, "c", id, "conmon.pid"), "utf8"));
  process.kill(monitor, "SIGKILL");
  await until(async () => (await engine.inspect(id)).State.Status === "exited");
  await until(() => !existsSync(`/proc/${Pid}/exe`)); // a zombie until init has collected it
  expect((await engine.inspect(id)).State).toMatchObject({ ExitCode: 137, Error: expect.stringContaining("monitor") });
  await engine.docker.getContainer(id).start();
  await engine.removeAll();
});

test("after a reboot policies bring containers back, and the others have ended with 255", async () => {
  const policies = ["always", "unless-stopped", "on-failure", "no"] as const;
  const ids = await Promise.all(
    policies.map((Name) => engine.run(["sleep", "1000"], { RestartPolicy: { Name } }, { StopTimeout: 0 })),
  );
  const stopped = await engine.run(
    ["sleep", "1000"],
    { RestartPolicy: { Name: "unless-stopped" } },
    { StopTimeout: 0 },
  );
  await engine.docker.getContainer(stopped).stop();
  const pids = await Promise.all(ids.map(async (id) => (await engine.inspect(id)).State.Pid));
  await engine.kill("SIGTERM"); // which makes the records durable
  pids.forEach((pid) => process.kill(pid, "SIGKILL"));
  await until(() => pids.every((pid) => !existsSync(`/proc/${pid}/exe`)));
  // What a reboot changes: the boot id everywhere, and nothing of the run root is left.
  const record = (id: string): string => join(engine.dataRoot, "containers", id, "container.json");
  for (const id of ids) {
    writeFileSync(record(id), readFileSync(record(id), "utf8").replaceAll(/"bootId":"[^"]*"/g, '"bootId":"earlier"'));
  }
  writeFileSync(join(engine.dataRoot, "boot-id"), "earlier\n");
  for (const name of ["c", "oci", "exits"]) rmSync(join(engine.runRoot, name), { recursive: true });
  await engine.launch();
  const [always = "", unlessStopped = "", onFailure = "", no = ""] = ids;
  for (const id of [always, unlessStopped]) {
    await until(async () => (await engine.inspect(id)).State.Status === "running");
  }
  for (const id of [onFailure, no]) {
    const { State } = await engine.inspect(id);
    if (id === no) expect(State).toMatchObject({ Status: "exited", ExitCode: 255 });
    else expect(["restarting", "running"]).toContain(State.Status); // 255 is a failure
  }
  expect((await engine.inspect(stopped)).State.Status).toBe("exited");
  await engine.removeAll();
});

test("a record that cannot be read is set aside and reported, and the others are there", async () => {
  const good = await engine.run(["sleep", "1000"], {}, {}, "good");
  const bad = await engine.run(["sleep", "1000"], {}, {}, "bad");
  const { Pid } = (await engine.inspect(bad)).State;
  await engine.kill("SIGKILL");
  writeFileSync(join(engine.dataRoot, "containers", bad, "container.json"), '{"version":1');
  await engine.launch();
  expect((await engine.inspect(good)).State.Status).toBe("running");
  await expect(engine.inspect(bad)).rejects.toThrow("No such container");
  await until(() => !existsSync(`/proc/${Pid}/exe`));
  expect(engine.log).toContain(`the record of container ${bad.slice(0, 12)} cannot be read`);
  expect(readdirSync(join(engine.dataRoot, "corrupt"))).toEqual([`container-${bad}`]);
  await engine.removeAll();
});

test("a container that was half made or half removed is cleared away", async () => {
  const id = "f".repeat(64);
  mkdirSync(join(engine.dataRoot, "containers", id, "upper"), { recursive: true });
  mkdirSync(join(engine.runRoot, "c", id), { recursive: true });
  await engine.kill("SIGKILL");
  await engine.launch();
  expect(existsSync(join(engine.dataRoot, "containers", id))).toBe(false);
  expect(existsSync(join(engine.runRoot, "c", id))).toBe(false);
});

test("an engine killed at any moment of twenty starts leaves nothing that the next one does not clear", async () => {
  for (let round = 0; round < 8; round++) {
    const work = Promise.allSettled(
      Array.from({ length: 5 }, () => engine.run(["sleep", "1000"], { NetworkMode: "bridge" })),
    );
    await new Promise((done) => setTimeout(done, 10 + round * 20));
    await engine.kill("SIGKILL");
    await work;
    await engine.launch();
    for (const { Id } of await engine.docker.listContainers({ all: true })) {
      const { State } = await engine.inspect(Id);
      expect(["created", "running", "exited"]).toContain(State.Status);
      if (State.Running) expect(existsSync(`/proc/${State.Pid}`)).toBe(true);
    }
    await engine.removeAll();
    expect(readdirSync(join(engine.runRoot, "oci"))).toEqual([]);
    expect(readdirSync(join(engine.runRoot, "c"))).toEqual([]);
    expect(readdirSync(join(engine.dataRoot, "containers"))).toEqual([]);
  }
});
