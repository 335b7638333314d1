import { buffer } from "node:stream/consumers";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { EngineProcess, splitFrames, until } from "../../support/engine-process.ts";
import { execIn } from "./engine-exec.ts";

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

describe("after the engine was killed and another has taken over", () => {
  test("logs have no gap, a follower goes on, exec, health and attach work, the exit code is right", async () => {
    const counter = "i=0; while [ ! -e /tmp/end ]; do echo $i; i=$((i+1)); sleep 0.01; done; exit 5";
    const Healthcheck = { Test: ["CMD", "true"], Interval: 2e8 };
    const id = await engine.run(["sh", "-c", counter], {}, { Healthcheck });
    await until(async () => (await engine.inspect(id)).State.Health?.Status === "healthy");
    await engine.kill("SIGKILL");
    await new Promise((done) => setTimeout(done, 300));
    await engine.launch();

    const container = engine.docker.getContainer(id);
    expect((await engine.inspect(id)).State).toMatchObject({ Status: "running", Health: { Status: "healthy" } });
    const probes = (await engine.inspect(id)).State.Health?.Log.at(-1)?.Start ?? "";
    await until(async () => ((await engine.inspect(id)).State.Health?.Log.at(-1)?.Start ?? "") > probes);

    const attached = await container.attach({ stream: true, stdout: true });
    const seen = buffer(attached);
    const following = buffer(await container.logs({ follow: true, stdout: true }));
    expect(await execIn(engine, id, "touch", "/tmp/end")).toMatchObject({ code: 0 });
    const lines = splitFrames(await following)
      .out.trim()
      .split("\n");
    expect(lines.length).toBeGreaterThan(40);
    expect(lines).toEqual(lines.map((_, i) => String(i)));
    const live = splitFrames(await seen)
      .out.trim()
      .split("\n");
    expect(lines.slice(-live.length)).toEqual(live);
    expect((await container.wait()).StatusCode).toBe(5);
  });
});

describe("exec", () => {
  test("as another user: its own ids, groups and home, no capabilities", async () => {
    const id = await engine.run(["sleep", "1000"]);
    const exec = await engine.docker.getContainer(id).exec({
      Cmd: ["sh", "-c", "id; echo $HOME; grep -E 'CapEff|CapBnd|Seccomp:|NoNewPrivs' /proc/self/status"],
      User: "app",
      AttachStdout: true,
    });
    const { out } = splitFrames(await buffer(await exec.start()));
    expect(out).toMatch(/^uid=1000\(app\) gid=1000\(app\) groups=.*1001\(extra\)\n\/home\/app\n/);
    expect(out).toMatch(/CapEff:\s+0000000000000000/);
    expect(out).toMatch(/CapBnd:\s+00000000a80425fb/);
    expect(out).toMatch(/Seccomp:\s+2/);
  });

  test("a user that the container does not have is refused", async () => {
    const id = await engine.run(["sleep", "1000"]);
    const exec = engine.docker.getContainer(id).exec({ Cmd: ["true"], User: "nobody-knows", AttachStdout: true });
    await expect(exec).rejects.toThrow("unable to find user nobody-knows");
    expect((await engine.inspect(id)).ExecIDs ?? []).toEqual([]);
  });

  test("a terminal delivers everything, however short the command", async () => {
    const id = await engine.run(["sleep", "1000"]);
    const config = { Cmd: ["echo", "all of it"], Tty: true, AttachStdin: true, AttachStdout: true };
    for (let i = 0; i < 20; i++) {
      const exec = await engine.docker.getContainer(id).exec(config);
      const output = await buffer(await exec.start({ Tty: true }));
      expect(output.toString()).toBe("all of it\r\n");
    }
  });

  test("a working directory that leads out through a descriptor is not entered", async () => {
    const id = await engine.run(["sleep", "1000"]);
    for (const fd of [3, 7, 9, 20]) {
      const config = {
        Cmd: ["ls", "-d", "../../../etc/passwd"],
        WorkingDir: `/proc/self/fd/${fd}`,
        AttachStdout: true,
      };
      const exec = await engine.docker.getContainer(id).exec(config);
      await buffer(await exec.start());
      expect((await exec.inspect()).ExitCode).not.toBe(0);
    }
  });

  test("descriptors of the engine do not reach it", async () => {
    const id = await engine.run(["sleep", "1000"]);
    const { out } = await execIn(engine, id, "sh", "-c", "for f in /proc/self/fd/*; do readlink $f; done");
    expect(out.split("\n").filter((line) => !/^(pipe:|\/dev\/null|\/proc\/.*\/fd|)/.test(line))).toEqual([]);
    expect(out.trim().split("\n").length).toBeLessThanOrEqual(4);
  });

  test("events tell its life, in Docker's words", async () => {
    const id = await engine.run(["sleep", "1000"], {}, { Labels: { tier: "x" } });
    const record = engine.record();
    await new Promise((done) => setTimeout(done, 100));
    await execIn(engine, id, "sh", "-c", "exit 3");
    await until(() => record.events.some(({ Action }) => Action === "exec_die"));
    record.stop();
    expect(record.events.map(({ Action }) => Action)).toEqual([
      "exec_create: sh -c exit 3",
      "exec_start: sh -c exit 3",
      "exec_die",
    ]);
    expect(record.events[2]?.Actor.Attributes).toMatchObject({ exitCode: "3", image: "busybox", tier: "x" });
  });
});

describe("statistics", () => {
  test("limits, memory, processes and the network are the kernel's", async () => {
    const id = await engine.run(["sh", "-c", "sleep 1000 & sleep 1000; true"], {
      Memory: 33554432,
      PidsLimit: 50,
      NetworkMode: "bridge",
    });
    const container = engine.docker.getContainer(id);
    await until(async () => (await container.top()).Processes.length === 3);
    const stats = await container.stats({ stream: false, "one-shot": true });
    expect(stats).toMatchObject({
      id,
      pids_stats: { current: 3, limit: 50 },
      memory_stats: { limit: 33554432, usage: expect.any(Number) },
      cpu_stats: { cpu_usage: { total_usage: expect.any(Number) }, online_cpus: expect.any(Number) },
      networks: { eth0: { rx_errors: 0 } },
    });
    const { Titles, Processes } = await container.top();
    expect(Titles).toEqual(["UID", "PID", "PPID", "C", "STIME", "TTY", "TIME", "CMD"]);
    expect(Processes.map((row) => row[7])).toContain("sleep 1000");
    expect((await container.top({ ps_args: "-o pid,comm" })).Titles).toEqual(["PID", "COMMAND"]);
  });

  test("of a stopped container are zero", async () => {
    const id = await engine.create(["true"]);
    expect(await engine.docker.getContainer(id).stats({ stream: false })).toMatchObject({
      read: "0001-01-01T00:00:00Z",
      memory_stats: {},
    });
  });
});

describe("the engine about itself", () => {
  test("info counts containers and names the runtime", async () => {
    const info = (await engine.docker.info()) as Record<string, unknown>;
    expect(info).toMatchObject({ Driver: "overlay2", OSType: "linux", Swarm: { LocalNodeState: "inactive" } });
    expect(info["Containers"]).toBe((await engine.docker.listContainers({ all: true })).length);
    expect(Object.keys(info["Runtimes"] as object)).toContain(info["DefaultRuntime"]);
  });

  test("version has an Engine component with the API versions", async () => {
    expect(await engine.docker.version()).toMatchObject({
      ApiVersion: expect.any(String),
      Components: [{ Name: "Engine" }, {}],
    });
  });

  test("df has images, containers and volumes with sizes", async () => {
    await engine.docker.createVolume({ Name: "df-volume" });
    const df = (await engine.docker.df()) as {
      LayersSize: number;
      Images: object[];
      Volumes: { Name: string; UsageData: object }[];
    };
    expect(df.LayersSize).toBeGreaterThan(1_000_000);
    expect(df.Images).toHaveLength(1);
    expect(df.Volumes.find(({ Name }) => Name === "df-volume")?.UsageData).toEqual({ Size: 0, RefCount: 0 });
    await engine.docker.getVolume("df-volume").remove();
  });
});
