/** What a user feels of the lifecycle: stops that do not wait in vain, readiness that is noticed, restarts that wait for health,
 *  images and archives of services, logs that outlive an engine. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { Docker } from "../../src/client/docker.ts";
import { eventually, finish, Workspace } from "../support/workspace.ts";

const ready = "sh -c 'sleep 0.2; touch /tmp/ready; while :; do sleep 0.1; done'";
const check = "healthcheck: { test: [CMD, test, -e, /tmp/ready] }";
const composeFile = `
name: lifecycle
services:
  deaf: { image: busybox, command: sleep 1000 }
  patient: { image: busybox, command: sleep 1000, stop_grace_period: 2s }
  initiated: { image: busybox, command: sleep 1000, init: true }
  one: { image: busybox, profiles: [chain], command: ${JSON.stringify(ready)}, init: true, ${check} }
  two: { image: busybox, profiles: [chain], command: ${JSON.stringify(ready)}, init: true, ${check}, depends_on: { one: { condition: service_healthy, restart: true } } }
  three: { image: busybox, profiles: [chain], command: ${JSON.stringify(ready)}, init: true, ${check}, depends_on: { two: { condition: service_healthy, restart: true } } }
`;

describe("the lifecycle of services", () => {
  let workspace: Workspace;
  let docker: Docker;
  beforeAll(async () => {
    workspace = await Workspace.create({ "compose.yaml": composeFile });
    await workspace.loadBusybox();
    docker = new Docker({ socketPath: workspace.socket });
  });
  afterAll(async () => {
    docker.close();
    await workspace.dispose();
  });

  const inspect = async (service: string) => await docker.getContainer(`lifecycle-${service}-1`).inspect();
  const ranFor = (state: { readonly StartedAt: string; readonly FinishedAt: string }): number =>
    Date.parse(state.FinishedAt) - Date.parse(state.StartedAt);

  test("a program that cannot hear the stop signal is not waited for, and the command says why and what helps", async () => {
    await workspace.ok(["up", "-d"]);
    const begin = performance.now();
    const stop = await workspace.run(["stop", "deaf"]);
    expect(performance.now() - begin).toBeLessThan(5000); // the grace period is ten seconds
    console.info(`stop of a deaf program: ${Math.round(performance.now() - begin)} ms with the start of the command`);
    expect(stop).toMatchObject({ exitCode: 0 });
    expect(stop.stderr).toMatch(/lifecycle-deaf-1: its process cannot receive SIGTERM.*`init: true`/);
    expect((await inspect("deaf")).State.ExitCode).toBe(137);
  });

  test("with an init it hears it, and with a grace period that was asked for it gets that", async () => {
    const stop = await workspace.ok(["stop"]);
    expect(stop).not.toMatch(/cannot receive/);
    expect((await inspect("initiated")).State.ExitCode).toBe(143);
    const { State } = await inspect("patient");
    expect(State.ExitCode).toBe(137);
    expect(ranFor(State)).toBeGreaterThanOrEqual(2000);
    await workspace.ok(["down"]);
  });

  test("a chain of services that are ready soon is up soon, though no healthcheck sets an interval", async () => {
    const begin = performance.now();
    await workspace.ok(["--profile", "chain", "up", "-d", "--wait", "three"]);
    console.info(`up --wait of a chain of three: ${Math.round(performance.now() - begin)} ms`);
    const states = await Promise.all(["one", "two", "three"].map(async (name) => (await inspect(name)).State));
    for (const [index, { Health, StartedAt }] of states.entries()) {
      expect(Health).toMatchObject({ Status: "healthy", FailingStreak: 0 });
      const before = states[index - 1];
      if (before !== undefined)
        expect(Date.parse(StartedAt)).toBeGreaterThan(Date.parse(before.Health?.Log[0]?.End ?? ""));
      // Docker would first look after the interval of 30 s.
      expect(Date.parse(Health?.Log[0]?.End ?? "") - Date.parse(StartedAt)).toBeLessThan(10_000);
    }
  });

  test("restart takes a service's followers along, each after the other is healthy again", async () => {
    await workspace.ok(["--profile", "chain", "restart", "one"]);
    const states = await Promise.all(["one", "two", "three"].map(async (name) => (await inspect(name)).State));
    for (const [index, { Health }] of states.slice(0, 2).entries()) {
      expect(Health?.Status).toBe("healthy");
      const healthy = Date.parse(Health?.Log[0]?.End ?? "");
      expect(Date.parse(states[index + 1]?.StartedAt ?? "")).toBeGreaterThan(healthy);
    }
  });

  test("commit makes an image of a service, export an archive", async () => {
    await workspace.ok(["exec", "-T", "one", "sh", "-c", "echo committed > /made"]);
    const commit = ["commit", "-m", "why", "-a", "who", "-c", 'CMD ["cat", "/made"]', "one", "of-one:1"];
    await workspace.ok(["--profile", "chain", ...commit]);
    const image = await docker.getImage("of-one:1").inspect();
    expect(image).toMatchObject({ Author: "who", Comment: "why", Config: { Cmd: ["cat", "/made"] } });
    await workspace.ok(["--profile", "chain", "export", "-o", "one.tar", "one"]);
    expect(readFileSync(join(workspace.project, "one.tar")).includes("committed")).toBe(true);
    await workspace.ok(["--profile", "chain", "down", "-v"]);
  });

  test("logs -f goes on when the engine was killed and has come back: no line is missing, none is there twice", async () => {
    const count = "i=0; while [ ! -e /tmp/stop ]; do echo line $$i; i=$$((i+1)); sleep 0.01; done; echo end";
    workspace.write({
      "logs.yaml": `name: followed\nservices:\n  writer: { image: busybox, init: true, command: ["sh", "-c", ${JSON.stringify(count)}] }\n`,
    });
    const files = ["-f", "logs.yaml"];
    await workspace.ok([...files, "up", "-d"]);
    const follower = workspace.start([...files, "logs", "-f", "--no-log-prefix"]);
    let seen = "";
    follower.stdout?.on("data", (chunk: unknown) => (seen += String(chunk)));
    const outcome = finish(follower);
    for (const signal of ["SIGKILL", "SIGTERM"] as const) {
      const at = seen.split("\n").length;
      await eventually(() => (seen.split("\n").length > at + 20 ? true : undefined), 60_000);
      const pid = workspace.enginePid() ?? 0;
      process.kill(pid, signal);
      await new Promise((wait) => setTimeout(wait, 500));
      await workspace.ok([...files, "ps"]); // starts another engine
    }
    await workspace.ok([...files, "exec", "-T", "writer", "touch", "/tmp/stop"]);
    await eventually(() => (seen.endsWith("end\n") ? true : undefined), 60_000);
    follower.kill("SIGINT");
    const { stderr } = await outcome;
    const lines = seen.trim().split("\n").slice(0, -1);
    expect(lines.length).toBeGreaterThan(40);
    expect(lines).toEqual(lines.map((_, n) => `line ${n}`));
    expect(stderr).toMatch(/the engine .*waiting for it to come back/);
    await workspace.ok([...files, "down"]);
  });

  test("nothing is left", async () => {
    expect(await workspace.leaks()).toEqual([]);
  });
});
