/** Build caches that are exported by one engine and imported by another, whose data root has nothing of it. Each RUN writes something that
 *  no other run writes, so an equal image is one that was taken over. */
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { newFolder } from "../../../src/cli/local-folder.ts";
import { EngineProcess } from "../../support/engine-process.ts";
import { startRegistry, type TestRegistry } from "../../support/registry.ts";
import { busyboxArchive } from "../../support/workspace.ts";
import { buildLines, type Outcome } from "./build-fixture.ts";

let maker: EngineProcess;
let taker: EngineProcess;
let registry: TestRegistry;
let folders: string;
beforeAll(async () => {
  [maker, taker, registry] = await Promise.all([EngineProcess.start(), EngineProcess.start(), startRegistry()]);
  folders = mkdtempSync(join(tmpdir(), "ts-cache-"));
  for (const engine of [maker, taker])
    for await (const chunk of await engine.docker.loadImage(createReadStream(await busyboxArchive()))) void chunk;
});
afterAll(async () => {
  await Promise.all([maker.dispose(), taker.dispose(), registry.stop()]);
  rmSync(folders, { recursive: true, force: true });
});

const unique = "cat /proc/sys/kernel/random/uuid";

/** Two stages; the last copies from the first. */
const project = (name: string): readonly string[] => [
  "FROM busybox AS make",
  `ENV NAME=${name}`,
  `RUN ${unique} > /made`,
  "FROM busybox",
  "COPY a.txt /a.txt",
  "COPY --from=make /made /made",
  `RUN ${unique} > /last`,
];

interface Asked {
  readonly from?: readonly string[];
  readonly to?: readonly string[];
  readonly files?: Readonly<Record<string, string>>;
  readonly args?: Readonly<Record<string, string>>;
  readonly tag?: string;
}

function texts(given: readonly string[] = []): readonly object[] {
  return given.map((text) => {
    const path = /(?:src|dest)=([^,]*)/.exec(text)?.[1];
    return { text, ...(path === undefined ? {} : { folder: newFolder(path) }) };
  });
}

async function build(engine: EngineProcess, lines: readonly string[], asked: Asked = {}): Promise<Outcome> {
  return await buildLines(engine, lines, asked.files ?? { "a.txt": "a" }, {
    ...(asked.args === undefined ? {} : { buildargs: asked.args }),
    ...(asked.tag === undefined ? {} : { t: asked.tag }),
    tscomposeBuild: { cacheFrom: texts(asked.from), cacheTo: texts(asked.to) },
  });
}

async function layers({ docker }: EngineProcess, { id = "" }: Outcome): Promise<readonly string[]> {
  return (await docker.getImage(id).inspect()).RootFS.Layers ?? [];
}

function cachedSteps({ text }: Outcome): number {
  return text.split("Using cache").length - 1;
}

test.each([
  ["a registry, all stages", "max", "type=registry,mode=max,ref=", "type=registry,ref="],
  ["a registry, the last stage only", "min", "type=registry,ref=", ""],
  ["a registry, as an index", "index", "type=registry,image-manifest=false,mode=max,ref=", "type=registry,ref="],
])("everything is taken from %s", async (_, name, to, from) => {
  const place = `${registry.host}/cache:${name}`;
  const made = await build(maker, project(name), { to: [`${to}${place}`] });
  expect(made.error).toBeUndefined();
  const taken = await build(taker, project(name), { from: [`${from}${place}`] });
  expect({ id: taken.id, error: taken.error, steps: cachedSteps(taken) }).toEqual({
    id: made.id,
    error: undefined,
    steps: 4,
  });
});

test("everything is taken from a folder in the OCI layout, by its tag", async () => {
  const folder = join(folders, "layout");
  const made = await build(maker, project("folder"), { to: [`type=local,dest=${folder},mode=max,tag=v1`] });
  const other = await build(maker, project("other"), { to: [`type=local,dest=${folder}`] });
  expect([made.error, other.error]).toEqual([undefined, undefined]);
  const index = JSON.parse(readFileSync(join(folder, "index.json"), "utf8")) as { readonly manifests: object[] };
  expect(index.manifests).toHaveLength(2);
  for (const name of readdirSync(join(folder, "blobs/sha256")))
    expect(
      createHash("sha256")
        .update(readFileSync(join(folder, "blobs/sha256", name)))
        .digest("hex"),
    ).toBe(name);
  const taken = await build(taker, project("folder"), { from: [`type=local,src=${folder},tag=v1`] });
  expect([taken.id, cachedSteps(taken)]).toEqual([made.id, 4]);
  const untagged = await build(taker, project("other"), { from: [`type=local,src=${folder}`] });
  expect([untagged.id, cachedSteps(untagged)]).toEqual([other.id, 4]);
});

test("an image has its own cache in it, from a registry and in the store", async () => {
  const name = `${registry.host}/app:inline`;
  const made = await build(maker, project("inline"), { args: { BUILDKIT_INLINE_CACHE: "1" }, tag: name });
  expect(made.error).toBeUndefined();
  for await (const message of maker.docker.modem.progress(await maker.docker.getImage(name).push({}))) void message;
  const taken = await build(taker, project("inline"), { from: [name], to: ["type=inline"], tag: name });
  expect([await layers(taker, taken), cachedSteps(taken)]).toEqual([await layers(maker, made), 4]);
  await taker.docker.pruneBuilder({ all: true });
  const changed = [...project("inline"), `RUN ${unique} > /more`];
  const again = await build(taker, changed, { from: [name] });
  expect([again.error, cachedSteps(again)]).toEqual([undefined, 4]);
});

test("what changed is built, what lies before it is taken", async () => {
  const place = `${registry.host}/cache:changed`;
  await build(maker, project("changed"), { to: [`type=registry,mode=max,ref=${place}`] });
  const taken = await build(taker, project("changed"), { from: [place], files: { "a.txt": "b" } });
  expect([taken.error, cachedSteps(taken)]).toEqual([undefined, 1]);
});

test("what was taken over is no result of the engine's own cache", async () => {
  const place = `${registry.host}/cache:trust`;
  const made = await build(maker, project("trust"), { to: [`type=registry,mode=max,ref=${place}`] });
  await taker.docker.pruneBuilder({ all: true });
  const taken = await build(taker, project("trust"), { from: [place] });
  expect(taken.id).toBe(made.id);
  const records = async (): Promise<number> =>
    ((await taker.docker.df()) as unknown as { readonly BuildCache: readonly object[] }).BuildCache.length;
  expect(await records()).toBe(0);
  const own = await build(taker, project("trust"));
  expect([own.error, cachedSteps(own)]).toEqual([undefined, 0]);
  expect(own.id).not.toBe(made.id);
  expect(await records()).toBe(4);
});

test("layers that were taken over go with the image", async () => {
  const place = `${registry.host}/cache:gone`;
  const lines = ["FROM busybox", "RUN dd if=/dev/urandom of=/big bs=1M count=3"];
  const large = (): readonly string[] => {
    const blobs = join(taker.dataRoot, "images/blobs/sha256");
    return readdirSync(blobs).filter((name) => statSync(join(blobs, name)).size > 3 << 20);
  };
  await build(maker, lines, { to: [`type=registry,ref=${place}`] });
  const taken = await build(taker, lines, { from: [place] });
  expect([taken.error, cachedSteps(taken)]).toEqual([undefined, 1]);
  expect(large()).toHaveLength(1);
  await taker.docker.getImage(taken.id ?? "").remove();
  expect(large()).toEqual([]);
});

test("a layer that is not what the cache says is not used, and the step runs", async () => {
  const folder = join(folders, "damaged");
  await build(maker, ["FROM busybox", `RUN ${unique} > /x`], { to: [`type=local,dest=${folder}`] });
  const blobs = join(folder, "blobs/sha256");
  for (const name of readdirSync(blobs)) {
    const content = readFileSync(join(blobs, name));
    if (content[0] === 0x1f) writeFileSync(join(blobs, name), Buffer.concat([content.subarray(0, -1), Buffer.of(1)]));
  }
  const taken = await build(taker, ["FROM busybox", `RUN ${unique} > /x`], { from: [`type=local,src=${folder}`] });
  expect([taken.error, cachedSteps(taken)]).toEqual([undefined, 0]);
  expect(taken.text).toContain("[Warning] a step of the build cache ");
});

test("a folder is not left through symlinks, neither to read nor to write", async () => {
  const [victim, folder] = [join(folders, "victim"), join(folders, "links")];
  newFolder(victim);
  newFolder(folder);
  symlinkSync(victim, join(folder, "blobs"));
  symlinkSync("/etc/hostname", join(folder, "index.json"));
  const made = await build(maker, ["FROM busybox", "RUN true"], { to: [`type=local,dest=${folder}`] });
  expect(made.error).toMatch(/ELOOP|blobs/);
  expect(readdirSync(victim)).toEqual([]);
  const taken = await build(taker, ["FROM busybox", "RUN true"], { from: [`type=local,src=${folder}`] });
  expect(taken.error).toBeUndefined();
  expect(taken.text).toContain("is not used: ");
});

test("a source that cannot be had is a warning, a place that cannot be written a failure unless that is allowed", async () => {
  const nowhere = "127.0.0.1:1/cache:x";
  const lines = ["FROM busybox", "RUN echo warned"];
  const taken = await build(taker, lines, { from: [nowhere, `${registry.host}/cache:none`] });
  expect(taken.error).toBeUndefined();
  expect(taken.text.match(/\[Warning\] the build cache .* is not used: /g)).toHaveLength(2);
  const failed = await build(taker, lines, { to: [`type=registry,ref=${nowhere}`] });
  expect(failed.error).toContain("127.0.0.1:1");
  const allowed = await build(taker, lines, { to: [`type=registry,ignore-error=true,ref=${nowhere}`] });
  expect(allowed.error).toBeUndefined();
  expect(allowed.text).toContain("[Warning] the build cache was not exported: ");
});

test.each([
  [{ from: ["type=gha"] }, "cache type gha is not supported by this engine"],
  [{ to: ["type=s3,bucket=x"] }, "cache type s3 is not supported by this engine"],
  [{ to: ["type=registry,ref=x,compression=zstd"] }, "compression=zstd is not supported"],
  [{ to: ["type=registry,ref=x,mode=some"] }, "mode=some is neither min nor max"],
])("%j is refused by name before anything is built", async (asked, message) => {
  const outcome = await build(taker, ["FROM busybox", "RUN true"], asked);
  expect(outcome.error).toContain(message);
  expect(outcome.text).toBe("");
});
