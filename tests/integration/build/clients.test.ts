/** Builds that clients none of us wrote ask our engine for: the docker CLI and Docker Compose without BuildKit, dockerode and
 *  testcontainers. The last two are installed by `scripts/test-clients`, as they weigh 50 MB. */
import { execFile, execFileSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { gzipSync } from "node:zlib";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { EngineProcess, splitFrames } from "../../support/engine-process.ts";
import { peerPrograms } from "../../support/peers.ts";
import { repository } from "../../support/workspace.ts";

const run = promisify(execFile);
const programs = peerPrograms();
const packages = join(repository, ".cache/clients/node_modules");
const hasPackages = existsSync(join(packages, "testcontainers"));

let engine: EngineProcess;
let folder: string;

beforeAll(async () => {
  engine = await EngineProcess.start();
  folder = mkdtempSync(join(tmpdir(), "tsb-clients-"));
  mkdirSync(join(folder, "files"));
  writeFileSync(join(folder, "files/hello"), "hello\n");
  writeFileSync(join(folder, "files/ignored.log"), "no\n");
  writeFileSync(join(folder, ".dockerignore"), "**/*.log\n");
  writeFileSync(
    join(folder, "Dockerfile"),
    `FROM busybox AS made
ARG WHO=nobody
COPY files /files
RUN echo "made for $WHO" > /made && ls /files

FROM made AS last
LABEL from=test
CMD ["sh", "-c", "cat /made /files/*; echo ready; sleep 60"]
`,
  );
});
afterAll(async () => {
  await engine.dispose();
  rmSync(folder, { recursive: true, force: true });
});

async function docker(args: readonly string[], program = "docker", input?: string | Buffer): Promise<string> {
  const env = {
    PATH: process.env["PATH"] ?? "",
    HOME: folder,
    DOCKER_HOST: `unix://${engine.socket}`,
    DOCKER_BUILDKIT: "0",
    COMPOSE_BAKE: "false",
  };
  const running = run(join(programs ?? "", program), args, { env, cwd: folder });
  running.child.stdin?.end(input);
  const { stdout, stderr } = await running;
  return stdout + stderr;
}

/** What the image prints, without its label. */
async function outputOf(image: string): Promise<string> {
  const id = await engine.create(["cat", "/made", "/files/hello"], {}, { Image: image });
  const container = engine.docker.getContainer(id);
  await container.start();
  await container.wait();
  const { out } = splitFrames(await container.logs({ stdout: true }));
  await container.remove();
  return out;
}

describe.skipIf(programs === undefined)(
  `Docker's programs${programs === undefined ? " (not run: no peer)" : ""}`,
  () => {
    it("docker build shows the steps, and gives the image its tag and its arguments", async () => {
      const shown = await docker(["build", "-t", "by-docker", "--build-arg", "WHO=docker", "."]);
      for (const line of ["Step 1/7 : FROM busybox AS made", "hello", "Successfully tagged by-docker:latest"])
        expect(shown).toContain(line);
      expect(shown).not.toContain("ignored.log");
      expect(await outputOf("by-docker")).toContain("made for docker");
    });

    it("docker build --target stops at the stage, and a second build takes everything from the cache", async () => {
      await docker(["build", "-q", "--target", "made", "-t", "by-target", "."]);
      expect((await engine.docker.getImage("by-target").inspect()).Config?.Labels ?? {}).toEqual({});
      const again = await docker(["build", "--target", "made", "-t", "by-target", "."]);
      expect(again.match(/Using cache/g)).toHaveLength(2);
    });

    it("docker build ends with the code of a failing step, and its output", async () => {
      writeFileSync(join(folder, "Failing"), "FROM busybox\nRUN echo seen; exit 7\n");
      const failure: unknown = await docker(["build", "-f", "Failing", "."]).catch((error: unknown) => error);
      expect(failure).toMatchObject({ code: 7 });
      const { stdout, stderr } = failure as { readonly stdout: string; readonly stderr: string };
      expect(stdout).toContain("seen");
      expect(stderr).toContain("returned a non-zero code: 7");
    });

    it("docker build - takes a Dockerfile, an archive, plain or packed, or a Dockerfile beside the context", async () => {
      await docker(["build", "-t", "in:file", "-"], "docker", "FROM busybox\nRUN echo alone > /made; mkdir /files\n");
      const archive = execFileSync("tar", ["c", "Dockerfile", "files"], { cwd: folder });
      await docker(["build", "-t", "in:tar", "-"], "docker", archive);
      await docker(["build", "-t", "in:gzip", "-"], "docker", gzipSync(archive));
      const beside = "FROM busybox\nCOPY files /files\nRUN echo beside > /made\n";
      await docker(["build", "-t", "in:beside", "-f", "-", "."], "docker", beside);
      expect(await outputOf("in:file")).toBe("alone\n");
      for (const tag of ["tar", "gzip"]) expect(await outputOf(`in:${tag}`)).toBe("made for nobody\nhello\n");
      expect(await outputOf("in:beside")).toBe("beside\nhello\n");
    });

    it("docker build --cache-from takes the steps of an image that has its cache in it", async () => {
      const lines = "FROM busybox\nRUN cat /proc/sys/kernel/random/uuid > /made; mkdir /files; echo > /files/hello\n";
      await docker(["build", "-t", "own:cache", "--build-arg", "BUILDKIT_INLINE_CACHE=1", "-"], "docker", lines);
      await engine.docker.pruneBuilder({ all: true });
      await docker(["build", "-t", "own:again", "--cache-from", "own:cache", "-"], "docker", lines);
      expect(await outputOf("own:again")).toBe(await outputOf("own:cache"));
    });

    it("docker-compose build takes args, target and labels from the file", async () => {
      writeFileSync(
        join(folder, "compose.yaml"),
        "services: {a: {image: by-compose, build: {context: ., target: last, args: {WHO: compose}, labels: {x: y}}}}\n",
      );
      await docker(["-p", "clients", "build"], "docker-compose");
      expect(await outputOf("by-compose")).toContain("made for compose");
      expect((await engine.docker.getImage("by-compose").inspect()).Config?.Labels).toMatchObject({
        from: "test",
        x: "y",
      });
    });
  },
);

interface Dockerode {
  buildImage(context: object, options: object): Promise<NodeJS.ReadableStream>;
  readonly modem: {
    followProgress(stream: NodeJS.ReadableStream, done: (error: Error | null, events: readonly object[]) => void): void;
  };
}

interface Started {
  exec(command: readonly string[]): Promise<{ readonly output: string; readonly exitCode: number }>;
  stop(): Promise<unknown>;
}

interface Testcontainers {
  readonly GenericContainer: {
    fromDockerfile(folder: string): {
      withBuildArgs(values: object): {
        build(
          name: string,
          options: object,
        ): Promise<{ withWaitStrategy(wait: unknown): { start(): Promise<Started> } }>;
      };
    };
  };
  readonly Wait: { forLogMessage(text: string): unknown };
}

describe.skipIf(!hasPackages)(
  `npm packages${hasPackages ? "" : " (not run: scripts/test-clients installs them)"}`,
  () => {
    const load = createRequire(join(packages, "x.js"));

    it("dockerode's buildImage packs the files and follows the progress", async () => {
      const Docker = load("dockerode") as new (options: object) => Dockerode;
      const client = new Docker({ socketPath: engine.socket });
      const context = { context: folder, src: ["Dockerfile", "files/hello"] };
      const stream = await client.buildImage(context, { t: "by-dockerode", buildargs: { WHO: "dockerode" } });
      const events = await new Promise<readonly object[]>((done, fail) =>
        client.modem.followProgress(stream, (error, all) => (error === null ? done(all) : fail(error))),
      );
      expect(events.at(-1)).toEqual({ stream: "Successfully tagged by-dockerode:latest\n" });
      expect(await outputOf("by-dockerode")).toContain("made for dockerode");
    });

    it("testcontainers' fromDockerfile builds, starts and runs in the image, without Ryuk", async () => {
      process.env["DOCKER_HOST"] = `unix://${engine.socket}`;
      process.env["TESTCONTAINERS_RYUK_DISABLED"] = "true";
      const { GenericContainer, Wait } = load("testcontainers") as Testcontainers;
      const image = await GenericContainer.fromDockerfile(folder)
        .withBuildArgs({ WHO: "testcontainers" })
        .build("by-testcontainers", { deleteOnExit: false });
      const container = await image.withWaitStrategy(Wait.forLogMessage("ready")).start();
      const { output, exitCode } = await container.exec(["cat", "/made"]);
      expect({ output, exitCode }).toEqual({ output: "made for testcontainers\n", exitCode: 0 });
      await container.stop();
    });
  },
);
