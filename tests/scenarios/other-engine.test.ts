/** `tscompose -H`: the same commands drive a real Docker Engine, and Docker Compose sees the project as its own. */
import { execFileSync } from "node:child_process";
import { cpSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { peerPrograms, startPeerEngine } from "../support/peers.ts";
import { freePort, repository, Workspace } from "../support/workspace.ts";

const directory = mkdtempSync(join(tmpdir(), "peer-"));
const engine = startPeerEngine(directory, `peer${process.pid}`);
if (engine === undefined) console.warn("not run: no peer (../shared/peers): tscompose against a real Docker Engine");

describe.skipIf(engine === undefined)("a real Docker Engine", () => {
  const host = engine?.host ?? "";
  const bin = peerPrograms() ?? "";
  let workspace: Workspace;
  let env: Record<string, string>;
  const docker = (...args: string[]): string =>
    execFileSync(join(bin, "docker"), args, { encoding: "utf8", env: { ...process.env, DOCKER_HOST: host } }).trim();
  const dockerCompose = (...args: string[]): string =>
    execFileSync(join(bin, "docker-compose"), args, {
      encoding: "utf8",
      cwd: workspace.project,
      env: { ...process.env, ...env, DOCKER_HOST: host },
      stdio: ["ignore", "pipe", "pipe"],
    });

  beforeAll(async () => {
    execFileSync(join(repository, "examples/quickstart/make-images"), ["true"]);
    docker("load", "-q", "-i", join(repository, ".cache/images/quickstart.tar"));
    workspace = await Workspace.create();
    cpSync(join(repository, "examples/quickstart"), workspace.project, { recursive: true });
    env = { QUICKSTART_PORT: String(await freePort()) };
  });
  afterAll(async () => {
    await workspace.dispose();
    engine?.stop();
    rmSync(directory, { recursive: true, force: true });
  });

  test("up -d --wait, ps, logs and exec work on it", async () => {
    await workspace.ok(["-H", host, "up", "-d", "--wait"], { env });
    expect(docker("ps", "--format", "{{.Names}}").split("\n").toSorted()).toEqual(["project-store-1", "project-web-1"]);
    expect(await workspace.ok(["-H", host, "ps", "--services"], { env })).toMatch(/store\nweb|web\nstore/);
    expect(
      await workspace.ok(
        ["-H", host, "exec", "-T", "web", "wget", "-q", "-O", "-", "http://store:9000/cgi-bin/count"],
        { env },
      ),
    ).toBe("1\n");
    expect((await workspace.run(["-H", host, "exec", "-T", "web", "sh", "-c", "exit 7"], { env })).exitCode).toBe(7);
    expect(await workspace.ok(["-H", host, "logs", "--no-color", "web"], { env })).toBeDefined();
  });

  test("Docker Compose finds the project unchanged, and so does tscompose afterwards", async () => {
    const ids = docker("ps", "-q", "--no-trunc");
    dockerCompose("up", "-d");
    expect(docker("ps", "-q", "--no-trunc")).toBe(ids);
    await workspace.ok(["-H", host, "up", "-d"], { env });
    expect(docker("ps", "-q", "--no-trunc")).toBe(ids);
  });

  test("a project that Docker Compose made is unchanged for tscompose", async () => {
    dockerCompose("down", "-v");
    dockerCompose("up", "-d", "--wait");
    const ids = docker("ps", "-q", "--no-trunc");
    await workspace.ok(["-H", host, "up", "-d"], { env });
    expect(docker("ps", "-q", "--no-trunc")).toBe(ids);
  });

  test("down -v takes everything away", async () => {
    await workspace.ok(["-H", host, "down", "-v", "-t", "1"], { env });
    expect(docker("ps", "-aq")).toBe("");
    expect(docker("volume", "ls", "-q")).toBe("");
    expect(docker("network", "ls", "--format", "{{.Name}}").split("\n").toSorted()).toEqual(["bridge", "host", "none"]);
  });
});
