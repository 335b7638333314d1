/** Bad input: one clear error with place and remedy, an exit code that is not 0, and nothing left behind. */
import { existsSync, readdirSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:net";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { freePort, type Outcome, Workspace } from "../support/workspace.ts";

const service = (lines: string): string =>
  `services:\n  web:\n    image: busybox:latest\n    command: sleep 60\n${lines}`;

describe("bad input", () => {
  let workspace: Workspace;
  beforeAll(async () => {
    workspace = await Workspace.create({});
    await workspace.loadBusybox();
  });
  afterAll(async () => await workspace.dispose());

  const up = async (file: string, env: Record<string, string> = {}): Promise<Outcome> => {
    workspace.write({ "compose.yaml": file });
    const outcome = await workspace.run(["up", "-d"], { env });
    expect(outcome.exitCode).not.toBe(0);
    expect(outcome.stderr).not.toMatch(/\n\s+at .*\.(ts|js|cjs|mjs):\d+/);
    return outcome;
  };
  /** No container, network or volume of the project exists. */
  const nothingThere = async (): Promise<void> => {
    const { Docker } = await import("../../src/client/docker.ts");
    const docker = new Docker({ socketPath: workspace.socket });
    const mine = { filters: { label: ["com.docker.compose.project=project"] } };
    expect(await docker.listContainers({ all: true, ...mine })).toEqual([]);
    expect(await docker.listNetworks(mine)).toEqual([]);
    expect((await docker.listVolumes(mine)).Volumes).toEqual([]);
  };

  test("a dependency cycle is named, with file and line", async () => {
    const { stderr } = await up(
      "services:\n  a: {image: busybox, depends_on: [b]}\n  b: {image: busybox, depends_on: [c]}\n  c: {image: busybox, depends_on: [a]}\n",
    );
    expect(stderr).toMatch(/compose\.yaml:\d+:\d+/);
    expect(stderr).toMatch(/a -> b -> c -> a|b -> c -> a -> b|c -> a -> b -> c/);
    await nothingThere();
  });

  test("an undefined volume is named, with file and line", async () => {
    const { stderr } = await up(service("    volumes: ['nowhere:/data']\n"));
    expect(stderr).toMatch(/compose\.yaml:5:\d+/);
    expect(stderr).toContain("nowhere");
    await nothingThere();
  });

  test("a wrong type is shown with the line and what was expected", async () => {
    const { stderr } = await up(service("    privileged: [1]\n"));
    expect(stderr).toMatch(/compose\.yaml:5:\d+/);
    expect(stderr).toMatch(/expected: true or false/);
    await nothingThere();
  });

  test("a typo in a key is refused with a suggestion", async () => {
    const { stderr } = await up(service("    enviroment: {A: b}\n"));
    expect(stderr).toMatch(/compose\.yaml:5:5/);
    expect(stderr).toContain("environment");
    await nothingThere();
  });

  test("a required variable that is missing stops everything, with its message", async () => {
    const { stderr } = await up(service("    environment: {A: '${TOKEN:?set the token first}'}\n"));
    expect(stderr).toContain("set the token first");
    expect(stderr).toContain("TOKEN");
    await nothingThere();
  });

  test("a missing image is named, and nothing was made before", async () => {
    const { stderr } = await up(
      "services:\n  web: {image: '127.0.0.1:1/nothing:here', volumes: ['data:/data']}\nvolumes: {data: }\n",
    );
    expect(stderr).toContain("127.0.0.1:1/nothing:here");
    expect(stderr).toMatch(/refused|unreachable/i);
    await nothingThere();
  });

  test("a port in use is one error that names the port; the rest is taken back or can be taken down", async () => {
    const port = await freePort();
    const owner: Server = createServer().listen(port, "0.0.0.0");
    try {
      const { stderr } = await up(service(`    ports: ["${port}:80"]\n`));
      expect(stderr).toContain(String(port));
      expect(stderr).toMatch(/in use|already allocated/);
    } finally {
      owner.close();
    }
    await workspace.ok(["down", "-v"]);
    await nothingThere();
  });

  test("an unwritable data root is one error that names it", async () => {
    workspace.write({ "compose.yaml": service("") });
    writeFileSync(join(workspace.root, "a-file"), "");
    const roots = {
      TSCOMPOSE_DATA_ROOT: join(workspace.root, "a-file/data"),
      TSCOMPOSE_RUN_ROOT: join(workspace.root, "run2"),
    };
    const outcome = await workspace.run(["up", "-d"], { env: roots });
    expect(outcome.exitCode).not.toBe(0);
    expect(outcome.stderr).toContain("a-file/data");
  });

  test("no root rights: says so, and what to do", async () => {
    const { spawnSync } = await import("node:child_process");
    const program = join(import.meta.dirname, "../../bin/tscompose.cjs");
    const result = spawnSync(process.execPath, [program, "-p", "x", "ps"], {
      uid: 65534,
      gid: 65534,
      encoding: "utf8",
      cwd: "/tmp",
      env: {
        PATH: process.env["PATH"],
        TSCOMPOSE_DATA_ROOT: "/tmp/nobody-data",
        TSCOMPOSE_RUN_ROOT: "/tmp/nobody-run",
      },
    });
    expect(result.status).not.toBe(0);
    expect(result.stderr).toMatch(/root|permission/i);
    expect(result.stderr).toMatch(/sudo/);
    expect(existsSync("/tmp/nobody-data")).toBe(false);
  });

  test("a corrupted state file: the engine starts, that object is set aside and reported, the others work", async () => {
    workspace.write({ "compose.yaml": `${service("")}  other: {image: "busybox:latest", command: sleep 60}\n` });
    await workspace.ok(["up", "-d"]);
    const web = (await workspace.ok(["ps", "-q", "web"])).trim();
    await workspace.ok(["stop", "-t", "0"]);
    await workspace.ok(["engine", "stop"]);
    const record = join(workspace.dataRoot, "containers", web, "container.json");
    expect(existsSync(record)).toBe(true);
    writeFileSync(record, '{"version": 1, "id":');
    expect((await workspace.ok(["ps", "-aq"])).trim().split("\n")).toHaveLength(1);
    expect(readdirSync(workspace.dataRoot, { recursive: true }).some((name) => String(name).includes("corrupt"))).toBe(
      true,
    );
    await workspace.ok(["up", "-d"]);
    expect((await workspace.ok(["ps", "-q"])).trim().split("\n")).toHaveLength(2);
    await workspace.ok(["down", "-v", "-t", "0"]);
  });

  test("after all of it nothing is left", async () => {
    expect(await workspace.leaks()).toEqual([]);
  });
});
