/** Builds through a real engine: what is kept, what must not be, and what is left when one ends early. */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { Readable } from "node:stream";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { EngineProcess } from "../../support/engine-process.ts";
import { buildArchive, tar, type BuildQuery, type Entries, type Outcome } from "./build-fixture.ts";

let engine: EngineProcess;
beforeAll(async () => {
  engine = await EngineProcess.start();
});
afterAll(async () => {
  await engine.dispose();
});

const build = (entries: Entries, query: BuildQuery = {}): Promise<Outcome> => buildArchive(engine, tar(entries), query);

function work(): readonly string[] {
  const directory = join(engine.dataRoot, "build", "work");
  return existsSync(directory) ? readdirSync(directory) : [];
}
const mountsOfEngine = (): readonly string[] =>
  readFileSync(`/proc/${engine.pid}/mounts`, "utf8")
    .split("\n")
    .filter((line) => line.includes(`${engine.dataRoot}/build/work`));

/** Processes with this word in their command line. */
function running(word: string): number {
  return readdirSync("/proc").filter((pid) => {
    try {
      return /^[0-9]+$/.test(pid) && readFileSync(`/proc/${pid}/cmdline`, "latin1").split("\0").includes(word);
    } catch {
      return false;
    }
  }).length;
}

describe("cache", () => {
  const files = { Dockerfile: "FROM busybox\nRUN date +%N > /t\nCOPY a /a\nRUN cat /a\n", a: "one" };

  it("gives the same image for the same build, and runs nothing", async () => {
    const [first, second] = [await build(files), await build(files)];
    expect(first.error).toBeUndefined();
    expect(first.text).not.toContain("Using cache");
    expect(second.id).toBe(first.id);
    expect(second.text.match(/Using cache/g)).toHaveLength(3);
  });

  it("goes as far as what changed", async () => {
    await build(files);
    const changed = await build({ ...files, a: "two" });
    expect(changed.text.match(/Using cache/g)).toHaveLength(1);
  });

  it("does not ask for times, only for contents", async () => {
    const first = await build(files);
    const touched = await build({ ...files, a: { content: "one", mtime: { sec: 1_700_000_000, nsec: 0 } } });
    expect([first.error, touched.id]).toEqual([undefined, first.id]);
  });

  it("is left alone with nocache", async () => {
    const [first, second] = [await build(files), await build(files, { nocache: true })];
    expect(second.text).not.toContain("Using cache");
    expect(second.id).not.toBe(first.id);
  });
});

describe("what a context must not do", () => {
  it("reaches nothing outside through a symlink", async () => {
    const { error } = await build({
      Dockerfile: "FROM scratch\nCOPY out/passwd /p\n",
      out: { type: "symlink", link: "/etc" },
    });
    expect(error).toContain('"/out/passwd": not found');
  });

  it("writes nothing outside through a symlink", async () => {
    const { error } = await build({
      Dockerfile: "FROM busybox\nCOPY a /a\n",
      out: { type: "symlink", link: `${engine.dataRoot}` },
      "out/escaped": "x",
      a: "a",
    });
    expect(readdirSync(engine.dataRoot)).not.toContain("escaped");
    expect(error === undefined || error !== "").toBe(true);
  });

  it("writes nothing outside by its names", async () => {
    await build({ Dockerfile: "FROM busybox\nCOPY . /a\n", "../../../escaped": "x", "/abs-escaped": "x" });
    expect(work()).toEqual([]);
    expect(readdirSync(engine.dataRoot)).not.toContain("escaped");
    expect(readdirSync("/")).not.toContain("abs-escaped");
  });

  it("writes nothing outside through a link in the image", async () => {
    const { error, text } = await build({
      Dockerfile: `FROM busybox\nRUN ln -s ${engine.dataRoot} /out\nCOPY a /out/escaped\nRUN cat ${engine.dataRoot}/escaped\n`,
      a: "inside\n",
    });
    expect(error).toBeUndefined();
    expect(text).toContain("inside");
    expect(readdirSync(engine.dataRoot)).not.toContain("escaped");
  });

  it("names a Dockerfile outside", async () => {
    const { error } = await build({ Dockerfile: "FROM busybox\n" }, { dockerfile: "../../../../../etc/passwd" });
    expect(error).toBeDefined();
    expect(error).not.toContain("root:");
  });
});

describe("failures", () => {
  it("says which command failed and how", async () => {
    const { error } = await build({ Dockerfile: "FROM busybox\nRUN echo before; exit 7\n" });
    expect(error).toBe("The command '/bin/sh -c echo before; exit 7' returned a non-zero code: 7");
  });

  it("leaves no directory and no mount", async () => {
    await build({ Dockerfile: "FROM busybox\nRUN false\n" });
    expect(work()).toEqual([]);
    expect(mountsOfEngine()).toEqual([]);
  });

  it("ends the step of a client that goes away", async () => {
    const controller = new AbortController();
    const stream = await engine.docker.buildImage(
      Readable.from([tar({ Dockerfile: "FROM busybox\nRUN exec sleep 3171.5\n" })]),
      { abortSignal: controller.signal } as BuildQuery,
    );
    stream.on("error", () => undefined);
    stream.resume();
    await vi.waitFor(() => expect(running("3171.5")).toBeGreaterThan(0), { timeout: 5000 });
    controller.abort();
    stream.destroy();
    await vi.waitFor(() => expect([running("3171.5"), work(), mountsOfEngine()]).toEqual([0, [], []]), {
      timeout: 5000,
    });
  });

  it("leaves nothing of a build that the engine died in", async () => {
    const stream = await engine.docker.buildImage(
      Readable.from([tar({ Dockerfile: "FROM busybox\nRUN exec sleep 3172.5\n" })]),
    );
    stream.on("error", () => undefined);
    stream.resume();
    await vi.waitFor(() => expect(running("3172.5")).toBeGreaterThan(0), { timeout: 5000 });
    await engine.kill("SIGKILL");
    await engine.launch();
    await vi.waitFor(() => expect([running("3172.5"), work(), mountsOfEngine()]).toEqual([0, [], []]), {
      timeout: 5000,
    });
    expect((await build({ Dockerfile: "FROM busybox\nRUN echo again\n" })).error).toBeUndefined();
  });
});

describe("layers", () => {
  it("may occur twice in an image", async () => {
    const dockerfile = "FROM busybox\nCOPY a /a\nRUN echo other > /a\nCOPY a /a\nRUN cat /a\n";
    const { error, text } = await build({ Dockerfile: dockerfile, a: "twice\n" });
    expect(error).toBeUndefined();
    expect(text).toContain("twice");
  });

  it("are the same bytes with SOURCE_DATE_EPOCH", async () => {
    const files = {
      Dockerfile: "FROM busybox\nARG SOURCE_DATE_EPOCH\nRUN echo x > /x\nCOPY a /d/a\nWORKDIR /w\n",
      a: "a",
    };
    const query = { nocache: true, buildargs: JSON.stringify({ SOURCE_DATE_EPOCH: "1500000000" }) } as BuildQuery;
    const first = await build(files, query);
    await new Promise((resolve) => setTimeout(resolve, 1100));
    const second = await build(files, query);
    expect(first.error).toBeUndefined();
    expect(second.id).toBe(first.id);
  });
});

describe("secrets and caches", () => {
  const secret = `secret-${process.pid}-value`;
  const query = {
    tscomposeBuild: { secrets: { token: Buffer.from(secret).toString("base64") } },
  } as unknown as BuildQuery;

  it("gives a secret to the step that asks for it, and keeps it nowhere", async () => {
    const { error, text, id } = await build(
      {
        Dockerfile: [
          "FROM busybox",
          "RUN --mount=type=secret,id=token wc -c < /run/secrets/token; stat -c %a:%u /run/secrets/token",
          "RUN test ! -e /run/secrets/token && echo none",
          "RUN --mount=type=secret,id=token,env=TOKEN test ${#TOKEN} -gt 5 && echo variable",
          "",
        ].join("\n"),
      },
      query,
    );
    expect(error).toBeUndefined();
    expect(text).toContain(`${secret.length}\n400:0\n`);
    expect(text).toContain("none\n");
    expect(text).toContain("variable\n");
    const saved = await engine.docker.getImage(id ?? "").get();
    const chunks: Buffer[] = [];
    for await (const chunk of saved) chunks.push(chunk as Buffer);
    expect(Buffer.concat(chunks).includes(secret)).toBe(false);
    expect(filesWith(join(engine.dataRoot), secret)).toEqual([]);
  });

  it("runs a step without a secret that it does not need", async () => {
    const dockerfile =
      "FROM busybox\nRUN --mount=type=secret,id=other ls /run/secrets/other 2>/dev/null || echo absent\n";
    expect((await build({ Dockerfile: dockerfile }, query)).text).toContain("absent");
  });

  it("fails a step without a secret that it needs", async () => {
    const dockerfile = "FROM busybox\nRUN --mount=type=secret,id=other,required=true true\n";
    expect((await build({ Dockerfile: dockerfile }, query)).error).toContain("other");
  });

  it("keeps what a cache mount holds, outside of the image", async () => {
    const run = "RUN --mount=type=cache,target=/cache echo x >> /cache/log; wc -l < /cache/log";
    const files = { Dockerfile: `FROM busybox\n${run}\nRUN ls /cache 2>/dev/null | wc -l\n` };
    expect((await build(files)).text).toContain("\n1\n");
    const second = await build(files, { nocache: true });
    expect(second.text).toContain("2\n");
    expect(second.text).toMatch(/\n0\n/);
  });
});

function filesWith(directory: string, text: string): readonly string[] {
  return readdirSync(directory, { recursive: true, withFileTypes: true }).flatMap((entry) => {
    const path = join(entry.parentPath, entry.name);
    return entry.isFile() && readFileSync(path).includes(text) ? [path] : [];
  });
}
