/** Docker's own programs build through BuildKit's API: the docker CLI with buildx, as users have them. */
import { spawn, spawnSync } from "node:child_process";
import type { ChildProcessWithoutNullStreams } from "node:child_process";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { EngineProcess, splitFrames } from "../../support/engine-process.ts";
import { peerPrograms } from "../../support/peers.ts";
import { startRegistry } from "../../support/registry.ts";
import { buildProgram } from "../../support/programs.ts";
import { eventually, finish } from "../../support/workspace.ts";
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
  interface Options {
    readonly program?: string;
    readonly input?: string | Buffer;
    readonly env?: Readonly<Record<string, string>>;
  }
  function start(program: string, args: readonly string[], more: Options["env"] = {}): ChildProcessWithoutNullStreams {
    const env = {
      PATH: `${programs}:${process.env["PATH"]}`,
      HOME: folder,
      DOCKER_HOST: `unix://${engine.socket}`,
      DOCKER_CONFIG: join(programs ?? "", "../config"),
      BUILDKIT_PROGRESS: "plain",
      ...more,
    };
    return spawn(join(programs ?? "", program), args, { cwd: folder, env });
  }
  async function docker(args: readonly string[], options: Options = {}): Promise<Outcome> {
    return await finish(start(options.program ?? "docker", args, options.env), options.input);
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

  it("takes everything from the cache the second time, and lets the classic front have it too", async () => {
    const { stderr } = await docker(["build", "-t", "by-buildx", "--build-arg", "WHO=buildx", "."]);
    expect(stderr.match(/^#\d+ CACHED$/gm)).toHaveLength(3);
    // One builder behind every front: what it made for one is there for the other.
    const classic = await docker(["build", "--build-arg", "WHO=buildx", "."], { env: { DOCKER_BUILDKIT: "0" } });
    expect(classic.stdout.match(/Using cache/g)).toHaveLength(2);
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

  it("gives a secret to the step that asks for it, and keeps it nowhere", async () => {
    const secret = `secret-${process.pid}-${Date.now()}`;
    write("secret", secret);
    write("Secret", "FROM busybox\nRUN --mount=type=secret,id=s sed 's/secret/told/' /run/secrets/s | tee /made\n");
    const { stderr } = await docker(["build", "-f", "Secret", "-t", "secret", "--secret", "id=s,src=secret", "files"]);
    expect(stderr).toContain(secret.replace("secret", "told"));
    rmSync(join(folder, "secret"));
    const found = spawnSync("grep", ["-rla", secret, engine.dataRoot, engine.runRoot], { encoding: "utf8" });
    expect(found.stdout).toBe("");
    write("Required", "FROM busybox\nRUN --mount=type=secret,id=s,required=true true\n");
    expect((await docker(["build", "-f", "Required", "files"])).stderr).toContain("secret s: not found");
  });

  it("lets a step use the client's SSH agent", async () => {
    const socket = join(folder, "agent");
    spawnSync("ssh-keygen", ["-q", "-t", "ed25519", "-N", "", "-C", "held", "-f", join(folder, "key")]);
    const agent = spawn("ssh-agent", ["-D", "-a", socket], { stdio: "ignore" });
    try {
      await eventually(() => (existsSync(socket) ? true : undefined));
      spawnSync("ssh-add", ["-q", join(folder, "key")], { env: { ...process.env, SSH_AUTH_SOCK: socket } });
      const program = await buildProgram("agent-ask");
      write("Agent", "FROM busybox\nRUN --mount=type=ssh --mount=from=ask,target=/ask /ask/agent-ask\n");
      const env = { SSH_AUTH_SOCK: socket };
      const { exitCode, stderr } = await docker(
        ["build", "-f", "Agent", "--ssh", "default", "--build-context", `ask=${program}`, "files"],
        { env },
      );
      expect({ exitCode, stderr }).toMatchObject({ exitCode: 0 });
      expect(stderr).toMatch(/^#\d+ [0-9.]+ .*ssh-ed25519.*held$/m);
    } finally {
      agent.kill("SIGTERM");
    }
  });

  it("takes contexts by other names, a Dockerfile or an archive from its input", async () => {
    const named = ["--build-context", "other=files", "--build-context", "base=docker-image://busybox"];
    const input = "FROM base\nCOPY --from=other hello /made\nCOPY files/h* /files/\n";
    const { exitCode, stderr } = await docker(["build", "-t", "named", ...named, "-f", "-", "."], { input });
    expect({ exitCode, stderr }).toMatchObject({ exitCode: 0 });
    expect(stderr).toContain("[context other] load from client");
    expect(await outputOf("named")).toBe("hello\nhello\n");
    const { stdout } = await docker(["build", "-q", "-"], { input: "FROM busybox\nRUN echo only-input\n" });
    expect(stdout).toMatch(/^sha256:[0-9a-f]{64}\n$/);
    spawnSync("tar", ["cf", "context.tar", "Dockerfile", "files"], { cwd: folder });
    const archive = readFileSync(join(folder, "context.tar"));
    expect((await docker(["build", "-q", "-t", "archived", "-"], { input: archive })).exitCode).toBe(0);
    expect(await outputOf("archived")).toBe("made for nobody\nhello\n");
  });

  it("gives the result out as a folder, as archives of files and of an image, and keeps no image then", async () => {
    write("Out", "FROM scratch\nCOPY files /out\n");
    const images = async (): Promise<number> => (await engine.docker.listImages({ all: true })).length;
    const before = await images();
    await docker(["build", "-f", "Out", "-o", "taken", "."]);
    expect(readFileSync(join(folder, "taken/out/hello"), "utf8")).toBe("hello\n");
    expect(existsSync(join(folder, "taken/out/ignored.log"))).toBe(false);
    await docker(["build", "-f", "Out", "-o", "type=tar,dest=taken.tar", "."]);
    const listed = spawnSync("tar", ["tf", join(folder, "taken.tar")], { encoding: "utf8" });
    expect(listed.stdout.split("\n")).toEqual(["out/", "out/hello", ""]);
    for (const type of ["oci", "docker"]) {
      const { exitCode } = await docker([
        "build",
        "-f",
        "Out",
        "-t",
        "given:1",
        "-o",
        `type=${type},dest=${type}.tar`,
        ".",
      ]);
      expect(exitCode).toBe(0);
    }
    expect(await images()).toBe(before);
    expect((await docker(["load", "-i", "docker.tar"])).stdout).toContain("Loaded image: given:1");
  });

  it("checks a Dockerfile without building it, and tells its targets and arguments", async () => {
    write("Checked", "# made what is made\nFROM busybox as made\n# WHO who it is for\nARG WHO=you\nRUN false\n");
    const checked = await docker(["build", "--check", "-f", "Checked", "."]);
    expect(checked.exitCode).toBe(1);
    expect(checked.stdout).toContain(
      "WARNING: FromAsCasing - https://docs.docker.com/go/dockerfile/rule/from-as-casing/",
    );
    expect(checked.stdout).toContain("   2 | >>> FROM busybox as made\n");
    expect((await docker(["build", "--check", "."])).stdout).toContain("Check complete, no warnings found.");
    expect((await docker(["build", "--call", "outline", "-f", "Checked", "."])).stdout).toMatch(
      /WHO +you +who it is for/,
    );
    expect((await docker(["build", "--call", "targets", "-f", "Checked", "."])).stdout).toMatch(
      /made \(default\) +what is made/,
    );
  });

  it("runs steps with the network, hosts and limits that were asked for", async () => {
    write("Limits", "FROM busybox\nRUN cat /etc/hosts; df -k /dev/shm; ulimit -n; ls /sys/class/net\n");
    const args = ["--network", "none", "--add-host", "far:1.2.3.4", "--shm-size", "32m", "--ulimit", "nofile=100:200"];
    const { stderr } = await docker(["build", "-f", "Limits", ...args, "files"]);
    expect(stderr).toMatch(/ 1\.2\.3\.4\s+far$/m);
    expect(stderr).toMatch(/ shm +32768 /);
    expect(stderr).toMatch(/^#\d+ [0-9.]+ 100$/m);
    expect(stderr).not.toContain("eth0");
  });

  it("builds for several platforms under one name", async () => {
    write("Several", "FROM scratch\nARG TARGETARCH\nLABEL for=$TARGETARCH\nCOPY Several /\n");
    const { exitCode, stderr } = await docker([
      "build",
      "-f",
      "Several",
      "--platform",
      "linux/amd64,linux/s390x",
      "-t",
      "several:1",
      ".",
    ]);
    expect(exitCode, stderr).toBe(0);
    expect(stderr).toMatch(/\[linux\/s390x 1\/1\] COPY Several \//);
    for (const name of ["amd64", "s390x"]) {
      const { stdout } = await docker([
        "image",
        "inspect",
        "--platform",
        `linux/${name}`,
        "-f",
        "{{json .Config.Labels}}",
        "several:1",
      ]);
      expect(JSON.parse(stdout)).toEqual({ for: name });
    }
  });

  it("refuses what it does not have in one sentence that says what to do", async () => {
    write("Foreign", "# syntax=example/front:1\nFROM busybox\n");
    const refusals = [
      [["-f", "Foreign"], "front end example/front:1 is not supported (take the # syntax= line out"],
      [["--platform", "linux/amd64,linux/s390x", "-o", "out"], "gives an image and nothing else"],
      [["--cache-to", "type=local,dest=cache"], "the engine does not see the folder"],
    ] as const;
    for (const [args, text] of refusals) {
      const { exitCode, stderr } = await docker(["build", ...args, "."]);
      expect({ exitCode, stderr }).toMatchObject({ exitCode: 1 });
      expect(stderr).toContain(text);
    }
  });

  it("pushes to a registry and takes base images from it with the client's password, and not without", async () => {
    const registry = await startRegistry({ users: { bob: "secret" } });
    try {
      mkdirSync(join(folder, "login"));
      symlinkSync(join(programs ?? "", "../config/cli-plugins"), join(folder, "login/cli-plugins"));
      const auths = { [registry.host]: { auth: Buffer.from("bob:secret").toString("base64") } };
      write("login/config.json", JSON.stringify({ auths }));
      const env = { DOCKER_CONFIG: join(folder, "login") };
      const name = `${registry.host}/base:1`;
      const pushed = await docker(["build", "--push", "-t", name, "--target", "made", "."], { env });
      expect({ exitCode: pushed.exitCode, stderr: pushed.stderr }).toMatchObject({ exitCode: 0 });
      expect(pushed.stderr).toContain(`pushing ${name} done`);
      write("Derived", `FROM ${name}\nRUN cp /made /copied\n`);
      await engine.docker.getImage(name).remove();
      const refused = await docker(["build", "-f", "Derived", "files"]);
      expect(refused.exitCode).toBe(1);
      expect(refused.stderr).toMatch(/no basic auth credentials|authentication|denied|unauthorized/i);
      expect(refused.stderr).toContain("   1 | >>> FROM ");
      const { exitCode, stderr } = await docker(["build", "-f", "Derived", "files"], { env });
      expect({ exitCode, stderr }).toMatchObject({ exitCode: 0 });
      expect(stderr).toContain("[internal] pull base images");
    } finally {
      await registry.stop();
    }
  });

  it("exports its results to a registry and imports them again, as buildx asks for it", async () => {
    const registry = await startRegistry();
    try {
      const place = `type=registry,ref=${registry.host}/cache:1`;
      write(
        "Cached",
        "FROM busybox AS a\nRUN cat /proc/sys/kernel/random/uuid > /id\nFROM busybox\nCOPY --from=a /id /made\n",
      );
      const build = async (...args: readonly string[]): Promise<Outcome> =>
        await docker(["build", "-f", "Cached", ...args, "files"]);
      const first = await build("-t", "cached:1", "--cache-to", `${place},mode=max`);
      expect({ exitCode: first.exitCode, stderr: first.stderr }).toMatchObject({ exitCode: 0 });
      await engine.docker.pruneBuilder({ all: true });
      const second = await build("-t", "cached:2", "--cache-from", place);
      expect({ exitCode: second.exitCode, stderr: second.stderr }).toMatchObject({ exitCode: 0 });
      expect(await outputOf("cached:2", ["cat", "/made"])).toBe(await outputOf("cached:1", ["cat", "/made"]));
      const lost = await build("-t", "cached:3", "--cache-from", `type=registry,ref=${registry.host}/cache:none`);
      expect(lost.exitCode).toBe(0);
    } finally {
      await registry.stop();
    }
  });

  it("gives a killed client's build up, and keeps nothing of it", async () => {
    write("Slow", "FROM busybox\nRUN echo begun; sleep 1000\n");
    const child = start("docker", ["build", "-f", "Slow", "-t", "slow", "files"]);
    let shown = "";
    child.stderr.on("data", (chunk: Buffer) => (shown += chunk.toString()));
    await eventually(() => (shown.includes("begun") ? true : undefined));
    const running = (): string => spawnSync("pgrep", ["-f", "^sleep 1000$"], { encoding: "utf8" }).stdout;
    expect(running()).not.toBe("");
    // The plugin is a process of its own, which holds the connections.
    spawnSync("pkill", ["-KILL", "-P", String(child.pid)]);
    child.kill("SIGKILL");
    await eventually(() => (running() === "" ? true : undefined));
    await eventually(() => (readdirSync(join(engine.dataRoot, "build/work")).length === 0 ? true : undefined));
    await expect(engine.docker.getImage("slow").inspect()).rejects.toThrow("No such image");
    expect((await docker(["build", "-q", "."])).exitCode).toBe(0);
  });

  it("is what docker-compose builds with: args, targets, inline Dockerfiles, the image of another service", async () => {
    write(
      "compose.yaml",
      `name: by-bake
services:
  one: { image: bake-one, build: { context: ., target: made, args: { WHO: compose }, labels: { x: y } } }
  two:
    image: bake-two
    command: cat /made /hello
    build:
      context: files
      dockerfile_inline: |
        FROM base
        COPY hello /hello
      additional_contexts: { base: service:one }
`,
    );
    const program = "docker-compose";
    const built = await docker(["build"], { program });
    expect({ exitCode: built.exitCode, stderr: built.stderr + built.stdout }).toMatchObject({ exitCode: 0 });
    expect(built.stderr).toContain("Image bake-two Built");
    expect((await engine.docker.getImage("bake-one").inspect()).Config?.Labels).toMatchObject({ x: "y" });
    expect(await outputOf("bake-two", ["cat", "/made", "/hello"])).toBe("made for compose\nhello\n");
    const up = await docker(["up", "--build", "--no-deps", "two"], { program });
    expect(up.stdout).toMatch(/two-1 +\| made for compose\n.*two-1 +\| hello/);
    await docker(["down", "-t", "0"], { program });
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
