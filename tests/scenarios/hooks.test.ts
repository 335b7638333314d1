/** Lifecycle hooks: commands that run in a container right after it has started, and right before it is stopped. */
import { chmodSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { Workspace } from "../support/workspace.ts";

const composeFile = `services:
  db:
    image: busybox:latest
    command: sleep 600
    init: true
    volumes: [./notes:/notes]
    post_start:
      - {command: [sh, -c, 'echo "started as $$(id -un) $$WHO" >> /notes/log'], user: nobody, environment: {WHO: me}}
      - {command: [sh, -c, pwd >> /notes/log], working_dir: /tmp}
    pre_stop:
      - command: [sh, -c, echo stopping >> /notes/log]
  web:
    image: busybox:latest
    init: true
    command: [sh, -c, 'cat /notes/log > /notes/seen; exec sleep 600']
    volumes: [./notes:/notes]
    depends_on: [db]
`;

describe("lifecycle hooks", () => {
  let workspace: Workspace;
  const note = (name: string): string => readFileSync(join(workspace.project, "notes", name), "utf8");

  beforeAll(async () => {
    workspace = await Workspace.create({ "compose.yaml": composeFile, "notes/log": "" });
    await workspace.loadBusybox();
    chmodSync(join(workspace.project, "notes/log"), 0o666);
  });
  afterAll(async () => await workspace.dispose());

  test("up -> post_start has run with its user, folder and variables before the dependent started", async () => {
    await workspace.ok(["up", "-d", "--wait"]);
    expect(note("log")).toBe("started as nobody me\n/tmp\n");
    expect(note("seen")).toBe(note("log"));
  });

  test("up again -> nothing runs again", async () => {
    await workspace.ok(["up", "-d"]);
    expect(note("log").split("\n")).toHaveLength(3);
  });

  test("restart -> pre_stop, then post_start", async () => {
    await workspace.ok(["restart", "db"]);
    expect(note("log").split("\n").slice(2)).toEqual(["stopping", "started as nobody me", "/tmp", ""]);
  });

  test("a pre_stop that fails leaves the container running, and says what it printed", async () => {
    const failing = composeFile.replace("echo stopping >> /notes/log", "echo no way >&2; exit 3");
    const file = join(workspace.project, "compose.yaml");
    writeFileSync(file, failing);
    const outcome = await workspace.run(["stop", "db"]);
    expect(outcome.exitCode).toBe(1);
    expect(outcome.stderr).toContain("db hook exited with status 3: no way");
    expect(await workspace.ok(["ps", "--status", "running", "--services"])).toContain("db");
    writeFileSync(file, composeFile);
  });

  test("down -> pre_stop has run, and nothing is left", async () => {
    await workspace.ok(["down"]);
    expect(note("log").split("\n").slice(5)).toEqual(["stopping", ""]);
    expect(await workspace.leaks()).toEqual([]);
  });
});

const preStartFile = (second: string): string => `services:
  web:
    image: busybox:latest
    init: true
    command: [sh, -c, 'cat /data/log > /data/seen; exec sleep 600']
    environment: {A: a}
    volumes: [data:/data]
    scale: 2
    pre_start:
      - {command: [sh, -c, 'echo "first $$A $$B" >> /data/log; chmod 666 /data/log'], environment: {B: b}}
      - {command: [sh, -c, ${second}], user: nobody, working_dir: /tmp}
volumes: {data: }
`;

describe("hooks before the start of a service", () => {
  let workspace: Workspace;
  const log = async (name: string): Promise<string> =>
    await workspace.ok(["exec", "-T", "web", "cat", `/data/${name}`]);

  beforeAll(async () => {
    workspace = await Workspace.create({ "compose.yaml": preStartFile("'echo no way >&2; exit 3'") });
    await workspace.loadBusybox();
  });
  afterAll(async () => await workspace.dispose());

  test("one that fails -> nothing is started, its container stays until it succeeds", async () => {
    const outcome = await workspace.run(["up", "-d"]);
    expect(outcome.exitCode).toBe(1);
    expect(outcome.stderr).toMatch(
      /service "web" pre_start\[1\] exited with code 3: no way \(hook container [0-9a-f]{12} retained for inspection\)/,
    );
    expect((await workspace.ok(["ps", "-aq", "--status", "created"])).trim().split("\n")).toHaveLength(2);
    expect((await workspace.ok(["ps", "-aq"])).trim().split("\n")).toHaveLength(2);
  });

  test("up -> each has run once, in order, with its user, folder and variables, before the first container", async () => {
    workspace.write({ "compose.yaml": preStartFile(`'echo "second $$(id -un) $$(pwd)" >> /data/log'`) });
    await workspace.ok(["up", "-d", "--wait"]);
    // The first has run in the attempt that failed, too.
    expect(await log("log")).toBe("first a b\nfirst a b\nsecond nobody /tmp\n");
    expect(await log("seen")).toBe(await log("log"));
  });

  test("up again, or one more -> nothing runs again; start after stop -> they run again", async () => {
    await workspace.ok(["up", "-d", "--scale", "web=3"]);
    expect((await log("log")).split("\n")).toHaveLength(4);
    await workspace.ok(["stop", "-t", "0"]);
    await workspace.ok(["start"]);
    expect((await log("log")).split("\n").slice(3)).toEqual(["first a b", "second nobody /tmp", ""]);
  });

  test("one container of the same hook for each replica is refused by name, down leaves nothing", async () => {
    const perReplica = preStartFile("'true'").replace("user: nobody", "per_replica: true");
    workspace.write({ "other.yaml": perReplica });
    const outcome = await workspace.run(["-p", "other", "-f", "other.yaml", "up", "-d"]);
    expect(outcome.stderr).toContain("services.web.pre_start.1.per_replica is not supported");
    workspace.write({ "compose.yaml": preStartFile("'exit 1'") });
    await workspace.ok(["stop", "-t", "0"]);
    expect((await workspace.run(["up", "-d"])).exitCode).toBe(1);
    await workspace.ok(["down", "-v", "-t", "0"]);
    expect(await workspace.leaks()).toEqual([]);
  });
});
