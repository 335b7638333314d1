/** Docker's own programs build through BuildKit's API: the docker CLI with buildx, as users have them. */
import { spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { EngineProcess, splitFrames } from "../../support/engine-process.ts";
import { peerPrograms } from "../../support/peers.ts";
import { finish } from "../../support/workspace.ts";
import type { Outcome } from "../../support/workspace.ts";

const programs = peerPrograms();

describe.skipIf(programs === undefined)(`docker build${programs === undefined ? " (not run: no peer)" : ""}`, () => {
  let engine: EngineProcess;
  let folder: string;
  beforeAll(async () => {
    engine = await EngineProcess.start();
    folder = mkdtempSync(join(tmpdir(), "tsb-buildkit-"));
    write("files/hello", "hello\n");
    write("files/ignored.log", "no\n");
    write(".dockerignore", "**/*.log\n");
    write(
      "Dockerfile",
      `FROM busybox AS made
ARG WHO=nobody
COPY files /files
RUN echo "made for $WHO" > /made && ls /files

FROM made AS last
LABEL from=test
CMD ["cat", "/made", "/files/hello"]
`,
    );
  });
  afterAll(async () => {
    await engine.dispose();
    rmSync(folder, { recursive: true, force: true });
  });

  function write(name: string, content: string): void {
    mkdirSync(join(folder, name, ".."), { recursive: true });
    writeFileSync(join(folder, name), content);
  }
  async function docker(
    args: readonly string[],
    options: { program?: string; input?: string; env?: object } = {},
  ): Promise<Outcome> {
    const env = {
      PATH: `${programs}:${process.env["PATH"]}`,
      HOME: folder,
      DOCKER_HOST: `unix://${engine.socket}`,
      DOCKER_CONFIG: join(programs ?? "", "../config"),
      BUILDKIT_PROGRESS: "plain",
      ...options.env,
    };
    const child = spawn(join(programs ?? "", options.program ?? "docker"), args, {
      cwd: folder,
      env,
      stdio: ["pipe", "pipe", "pipe"],
    });
    return await finish(child, options.input);
  }
  /** What the image prints. */
  async function outputOf(image: string, command?: readonly string[]): Promise<string> {
    const id = await engine.create(command ?? ["cat", "/made", "/files/hello"], {}, { Image: image });
    const container = engine.docker.getContainer(id);
    await container.start();
    await container.wait();
    const { out } = splitFrames(await container.logs({ stdout: true }));
    await container.remove();
    return out;
  }

  it("shows the steps, and gives the image its tag and its arguments", async () => {
    const { exitCode, stderr } = await docker(["build", "-t", "by-buildx", "--build-arg", "WHO=buildx", "."]);
    expect({ exitCode, stderr }).toMatchObject({ exitCode: 0 });
    for (const line of [
      "[internal] load build definition from Dockerfile",
      "[internal] load .dockerignore",
      "[made 1/3] FROM docker.io/library/busybox:latest",
      "[internal] load build context",
      '[made 3/3] RUN echo "made for buildx" > /made && ls /files',
      "naming to docker.io/library/by-buildx:latest done",
    ])
      expect(stderr).toContain(line);
    expect(stderr).toMatch(/#\d+ [0-9.]+ hello\n/);
    expect(stderr).not.toContain("ignored.log");
    expect(await outputOf("by-buildx")).toBe("made for buildx\nhello\n");
    const { Config } = await engine.docker.getImage("by-buildx").inspect();
    expect(Config?.Labels).toEqual({ from: "test" });
  });

  it("takes everything from the cache the second time, and asks for no file again", async () => {
    const { stderr } = await docker(["build", "-t", "by-buildx", "--build-arg", "WHO=buildx", "."]);
    expect(stderr.match(/^#\d+ CACHED$/gm)).toHaveLength(3);
    await docker(["build", "-q", "--target", "made", "-t", "only-made", "--label", "x=y", "."]);
    expect((await engine.docker.getImage("only-made").inspect()).Config?.Labels).toEqual({ x: "y" });
  });

  it("ends a failing step with its output, its lines in the Dockerfile and its code", async () => {
    write("Failing", "FROM busybox\nRUN echo seen; exit 7\n");
    const { exitCode, stderr } = await docker(["build", "-f", "Failing", "."]);
    expect(exitCode).toBe(1);
    expect(stderr).toMatch(/------\n > \[2\/2\] RUN echo seen; exit 7:\n[0-9.]+ seen\n------\n/);
    expect(stderr).toContain(
      "Failing:2\n--------------------\n   1 |     FROM busybox\n   2 | >>> RUN echo seen; exit 7\n",
    );
    expect(stderr).toContain(
      'ERROR: failed to build: failed to solve: process "/bin/sh -c echo seen; exit 7" did not complete successfully: exit code: 7',
    );
  });

  it("points at the line that it does not understand, and says which Dockerfile is not there", async () => {
    write("Bad", "FROM busybox\nRUNX hi\n");
    const { exitCode, stderr } = await docker(["build", "-f", "Bad", "."]);
    expect(exitCode).toBe(1);
    expect(stderr).toContain("   2 | >>> RUNX hi\n");
    expect(stderr).toContain("dockerfile parse error on line 2: unknown instruction: RUNX (did you mean RUN?)");
    const missing = await docker(["build", "-f", "files/Nothing", "."]);
    expect(missing.stderr).toContain("open Nothing: no such file or directory");
  });

  it("says what runs, what is kept and what was built, and lets go of it", async () => {
    expect((await docker(["buildx", "ls"])).stdout).toMatch(/default +running +v0\.\d+\.\d+ +linux\/amd64/);
    expect((await docker(["buildx", "inspect"])).stdout).toMatch(/^Driver: +docker$/m);
    expect((await docker(["buildx", "du"])).stdout).toMatch(/^Total:\t+\d+/m);
    expect((await docker(["buildx", "history", "ls"])).stdout).toMatch(/Failing +Error/);
    expect((await docker(["buildx", "prune", "-af"])).stdout).toMatch(/^Total:\t\d/m);
    expect((await docker(["buildx", "du"])).stdout).toMatch(/^Total:\t+0B/m);
    expect((await docker(["builder", "prune", "-f"])).exitCode).toBe(0);
  });
});
