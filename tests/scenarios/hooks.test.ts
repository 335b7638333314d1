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
