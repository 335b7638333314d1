/** Builds that are cut short: an engine killed at any moment, a disk that is full, secrets that must be nowhere afterwards. And the
 *  same build on two engines. BUILD_KILLS: how many times the engine is killed. */
import { execFileSync } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Readable } from "node:stream";
import { describe, expect, it, vi } from "vitest";
import { EngineProcess } from "../../support/engine-process.ts";
import { takeSnapshot, leaksSince } from "../../support/leak-audit.ts";
import { buildLines, tar, type BuildQuery, type Outcome } from "./build-fixture.ts";

const epoch = { buildargs: JSON.stringify({ SOURCE_DATE_EPOCH: "1500000000" }) } as BuildQuery;

const lines = [
  "FROM busybox AS one",
  "ARG SOURCE_DATE_EPOCH",
  "RUN mkdir /made && for i in 1 2 3 4 5 6 7 8 9; do echo $i > /made/$i; done",
  "RUN sleep 0.1; ln /made/1 /made/hard; ln -s 1 /made/soft; chown 5:6 /made/2; rm /made/3",
  "FROM busybox",
  "ARG SOURCE_DATE_EPOCH",
  "COPY --from=one /made /made",
  "COPY . /ctx/",
  "WORKDIR /work/dir",
  "RUN sleep 0.1; rm -r /made/9 /home; echo last > /last",
  "LABEL a=b",
];
const files = Object.fromEntries(
  Array.from({ length: 300 }, (_, index) => [`d${index % 7}/f${index}`, `${index}\n`.repeat(50)]),
);

const buildAll = (engine: EngineProcess, query: BuildQuery = {}): Promise<Outcome> =>
  buildLines(engine, lines, files, { ...epoch, ...query });

function leftovers(engine: EngineProcess): readonly string[] {
  const under = (directory: string): readonly string[] => (existsSync(directory) ? readdirSync(directory) : []);
  const mounts = readFileSync(`/proc/${engine.pid}/mounts`, "utf8").split("\n");
  return [
    ...under(join(engine.dataRoot, "build/work")),
    ...under(join(engine.dataRoot, "build/containers")),
    ...under(join(engine.runRoot, "build/oci")),
    ...under(join(engine.runRoot, "build/secrets")),
    ...mounts.filter((line) => line.includes(`${engine.dataRoot}/build/work`)),
  ];
}

describe("SOURCE_DATE_EPOCH", () => {
  it("gives the same image and manifest on two engines, at two times", async () => {
    const engines = [await EngineProcess.start(), await EngineProcess.start()];
    try {
      const seen: unknown[] = [];
      for (const engine of engines) {
        const { id, error } = await buildAll(engine, { t: "same" });
        expect(error).toBeUndefined();
        const { Id, RootFS, Created, Descriptor } = (await engine.docker
          .getImage("same")
          .inspect()) as unknown as Record<string, unknown>;
        seen.push({ id, Id, RootFS, Created, Descriptor });
        await new Promise((resolve) => setTimeout(resolve, 1100));
      }
      expect(seen[1]).toEqual(seen[0]);
      expect(seen[0]).toMatchObject({ Created: "2017-07-14T02:40:00.000Z" });
    } finally {
      for (const engine of engines) await engine.dispose();
    }
  });
});

describe("B-02 kill -9 in the middle of a build", () => {
  it("leaves nothing behind, and the next build is right", async () => {
    const before = await takeSnapshot();
    const engine = await EngineProcess.start();
    try {
      const wanted = await buildAll(engine);
      expect(wanted.error).toBeUndefined();
      const kills = Number(process.env["BUILD_KILLS"] ?? 2);
      for (let kill = 0; kill < kills; kill += 1) {
        const secrets = { token: Buffer.from("secret-of-a-killed-build").toString("base64") };
        const query = { ...epoch, nocache: true, tscomposeBuild: { rich: true, secrets, allow: [] } } as BuildQuery;
        const slow = [...lines, "RUN --mount=type=secret,id=token cat /run/secrets/token > /dev/null; sleep 0.3"];
        const archive = tar({ Dockerfile: `${slow.join("\n")}\n`, ...files });
        const ended = engine.docker
          .buildImage(Readable.from([archive]), query)
          .then(async (stream) => {
            for await (const chunk of stream) void chunk;
          })
          .catch(() => undefined);
        await new Promise((resolve) => setTimeout(resolve, (kill * 977) % 1500));
        await engine.kill("SIGKILL");
        await ended;
        await engine.launch();
        await vi.waitFor(() => expect(leftovers(engine)).toEqual([]), { timeout: 10_000 });
        expect(filesWith(engine.runRoot, "secret-of-a-killed-build")).toEqual([]);
        expect(await buildAll(engine)).toMatchObject({ id: wanted.id, error: undefined });
        expect(await buildAll(engine, { nocache: true })).toMatchObject({ id: wanted.id, error: undefined });
      }
    } finally {
      await engine.dispose();
    }
    await vi.waitFor(async () => expect(await leaksSince(before)).toEqual([]), { timeout: 10_000, interval: 200 });
  });
});

describe("a full disk", () => {
  it.each([
    ["in RUN", ["FROM busybox", "RUN dd if=/dev/zero of=/big bs=1M count=60"], {}],
    ["in the context", ["FROM busybox", "COPY big /big"], { big: { content: Buffer.alloc(60 << 20, "x") } }],
    [
      "in COPY",
      ["FROM busybox", "COPY big /one", "COPY --chown=1:1 big /two", "COPY --chown=2:2 big /three"],
      { big: { content: Buffer.alloc(14 << 20, "x") } },
    ],
  ] as const)("%s is one clear error, with nothing partial", async (_, dockerfile, context) => {
    const disk = mkdtempSync(join(tmpdir(), "tsb-disk-"));
    execFileSync("mount", ["-t", "tmpfs", "-o", "size=40m", "tmpfs", disk]);
    const engine = await EngineProcess.start({ TSCOMPOSE_DATA_ROOT: join(disk, "data") });
    try {
      const images = (await engine.docker.listImages({ all: true })).map(({ Id }) => Id);
      const { error, text } = await buildLines(engine, dockerfile, context);
      expect(error).toBeDefined();
      expect(`${text}${error ?? ""}`).toMatch(/no space left|No space left/);
      expect((await engine.docker.listImages({ all: true })).map(({ Id }) => Id)).toEqual(images);
      expect(readdirSync(join(disk, "data/build/work"))).toEqual([]);
      const after = await buildLines(engine, ["FROM busybox", "RUN echo small > /small && cat /small"]);
      expect(after).toMatchObject({ error: undefined });
    } finally {
      await engine.dispose();
      execFileSync("umount", ["-l", disk]);
      rmSync(disk, { recursive: true });
    }
  });
});

describe("B-01 a secret", () => {
  it("is in no layer, history, configuration, log, cache and progress line", async () => {
    const secret = `secret-${process.pid}-${Date.now()}`;
    const engine = await EngineProcess.start();
    try {
      const query = {
        t: "with-secret",
        tscomposeBuild: { allow: [], secrets: { token: Buffer.from(secret).toString("base64") } },
      } as BuildQuery;
      const { text, error } = await buildLines(
        engine,
        [
          "FROM busybox",
          "COPY . /ctx",
          "RUN --mount=type=secret,id=token,target=/root/.npmrc,mode=0444 wc -c < /root/.npmrc",
          'RUN --mount=type=secret,id=token,env=TOKEN --mount=type=cache,target=/cache test -n "$TOKEN" && touch /cache/x',
          "RUN test ! -e /root/.npmrc; cat /ctx/.npmrc; true",
        ],
        { ".npmrc": secret, ".dockerignore": ".npmrc\n" },
        query,
      );
      expect(error).toBeUndefined();
      expect(text).toContain(`${secret.length}\n`);
      const image = engine.docker.getImage("with-secret");
      const chunks: Buffer[] = [];
      for await (const chunk of await image.get()) chunks.push(chunk as Buffer);
      const told = [text, engine.log, JSON.stringify([await image.inspect(), await image.history()])];
      expect([...told, Buffer.concat(chunks).toString("latin1")].filter((part) => part.includes(secret))).toEqual([]);
      expect([...filesWith(engine.dataRoot, secret), ...filesWith(engine.runRoot, secret)]).toEqual([]);
      expect(readFileSync(`/proc/${engine.pid}/environ`, "latin1")).not.toContain(secret);
    } finally {
      await engine.dispose();
    }
  });
});

function filesWith(directory: string, text: string): readonly string[] {
  return readdirSync(directory, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .filter((path) => {
      try {
        return readFileSync(path, "latin1").includes(text);
      } catch {
        return false;
      }
    });
}
