/** The layer threads and the engine that dies: both need the program as it is built, so it is bundled first. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readdirSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { build } from "esbuild";
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from "vitest";
import { startFakeRegistry, type FakeRegistry } from "./fake-registry.ts";
import { makeStore, texts, type StoreKit } from "./store-kit.ts";

const repository = resolve(import.meta.dirname, "../../..");
let programs: string;
let workerUrl: URL;
let kit: StoreKit;
let fake: FakeRegistry;

beforeAll(async () => {
  programs = mkdtempSync(join(tmpdir(), "programs-"));
  symlinkSync(join(repository, "node_modules"), join(programs, "node_modules"));
  const bundle = (entry: string, name: string): Promise<unknown> =>
    build({
      entryPoints: [join(repository, "src/engine/images", entry)],
      outfile: join(programs, name),
      bundle: true,
      platform: "node",
      format: "cjs",
      external: ["koffi"],
      define: { "import.meta.url": "__bundleUrl" },
      banner: { js: 'const __bundleUrl = require("node:url").pathToFileURL(__filename).href;' },
    });
  await Promise.all([bundle("layers/layer-worker.ts", "layer-worker.cjs"), bundle("store.ts", "store.cjs")]);
  workerUrl = pathToFileURL(join(programs, "layer-worker.cjs"));
});
afterAll(() => {
  rmSync(programs, { recursive: true });
});
beforeEach(async () => {
  kit = makeStore({ workerUrl });
  fake = await startFakeRegistry(6_000_000);
});
afterEach(async () => {
  await kit.dispose();
  await fake.stop();
});

test("a layer pulled on a thread is the same as one pulled without", async () => {
  const name = `${fake.host}/team/app:1`;
  expect(texts(await kit.pull(name)).filter((text) => text.endsWith("Pull complete"))).toHaveLength(1);
  const inline = makeStore();
  try {
    await inline.pull(name);
    const [threaded, plain] = [kit.store.resolve(name), inline.store.resolve(name)];
    expect({ ...threaded, layerDirs: [] }).toEqual({ ...plain, layerDirs: [] });
    expect(threaded.layerDirs.map((dir) => readdirSync(dir))).toEqual(plain.layerDirs.map((dir) => readdirSync(dir)));
  } finally {
    await inline.dispose();
  }
});

test("an error on a thread keeps its code, and the thread works on", async () => {
  const bad = Buffer.from(fake.layer.content);
  bad.fill(0, 2_000_000, 2_000_100);
  fake.misbehave = (request, response) =>
    request.url?.endsWith(fake.layer.digest) === true && response.end(bad) !== undefined;
  for (let i = 0; i < 5; i++) {
    await expect(kit.pull(`${fake.host}/a/b:1`)).rejects.toMatchObject({
      code: expect.stringMatching(/^image\//) as string,
    });
  }
  fake.misbehave = () => false;
  await kit.pull(`${fake.host}/a/b:1`);
  await kit.store.close();
  expect(readdirSync(join(kit.dataRoot, "images/tmp"))).toEqual([]);
});

test("a transfer that breaks for good ends the job on the thread", async () => {
  fake.misbehave = (request, response) => {
    if (request.url?.endsWith(fake.layer.digest) !== true) return false;
    if (request.headers.range !== undefined) return response.writeHead(404).end() !== undefined;
    response.writeHead(200, { "content-length": fake.layer.content.length });
    response.write(fake.layer.content.subarray(0, 1_000_000), () => response.destroy());
    return true;
  };
  await expect(kit.pull(`${fake.host}/a/b:1`)).rejects.toMatchObject({ code: "image/not-found" });
  fake.misbehave = () => false;
  await kit.pull(`${fake.host}/a/b:1`);
});

test("after kill -9 in the middle of a layer the next start removes the remains and a pull completes", async () => {
  await kit.store.close();
  const program = join(programs, "puller.cjs");
  writeFileSync(
    program,
    `const { createImageStore } = require("./store.cjs");
     const store = createImageStore({ dataRoot: process.argv[2], runRoot: "", log() {}, emit() {}, env: {}, workerUrl: new URL(process.argv[3]) });
     store.pull({ reference: process.argv[4], signal: new AbortController().signal }).then(async (stream) => { for await (const message of stream); });`,
  );
  let halfway: () => void = () => undefined;
  const reached = new Promise<void>((done) => (halfway = done));
  fake.misbehave = (request, response) => {
    if (request.url?.endsWith(fake.layer.digest) !== true) return false;
    response.writeHead(200, { "content-length": fake.layer.content.length });
    response.write(fake.layer.content.subarray(0, 3_000_000), halfway);
    return true;
  };
  const child = spawn(process.execPath, [program, kit.dataRoot, workerUrl.href, `${fake.host}/a/b:1`], {
    stdio: "ignore",
  });
  await reached;
  const staging = join(kit.dataRoot, "images/tmp");
  while (readdirSync(staging).length < 2) await new Promise((done) => setTimeout(done, 5));
  child.kill("SIGKILL");
  await once(child, "exit");
  expect(readdirSync(staging)).toHaveLength(2);

  fake.misbehave = () => false;
  await kit.reopen();
  expect(() => kit.store.resolve(`${fake.host}/a/b:1`)).toThrow("No such image");
  await kit.pull(`${fake.host}/a/b:1`);
  expect(kit.store.resolve(`${fake.host}/a/b:1`).layerDirs).toHaveLength(1);
  await kit.store.close();
  expect(readdirSync(staging)).toEqual([]);
  expect(readdirSync(join(kit.dataRoot, "l"))).toHaveLength(1);
  expect(kit.warnings).toEqual([]);
});
