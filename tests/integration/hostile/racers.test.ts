import { mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { buffer } from "node:stream/consumers";
import { afterAll, afterEach, beforeAll, beforeEach, expect, test, vi } from "vitest";
import type { Container } from "../../../src/client/container.ts";
import { EngineProcess } from "../../support/engine-process.ts";
import { tarOf } from "../engine-streams/engine-exec.ts";
import {
  canaryText,
  compileHostile,
  fingerprint,
  foreignMounts,
  Hostiles,
  hostSettings,
  plantCanary,
  races,
} from "./hostile-kit.ts";
import type { Canary } from "./hostile-kit.ts";

/** Containers that exchange a directory for a symlink to the host, without pause, while the engine works with it.
 *  Source: security.md E-03, E-04, E-07, E-09, E-11, A-21, A-22. */

vi.setConfig({ testTimeout: 60_000 + races * 2000 });

let engine: EngineProcess;
let folder: string;
let hostiles: Hostiles;
let canary: Canary;
let mounts: readonly string[];
let settings: Readonly<Record<string, string>>;

beforeAll(async () => {
  folder = compileHostile();
  engine = await EngineProcess.start();
  hostiles = new Hostiles(engine, folder);
  canary = plantCanary(join(engine.root, "canary"));
  mounts = foreignMounts(engine);
});
afterAll(async () => {
  try {
    expect(await engine.leaks()).toEqual([]);
  } finally {
    await engine.dispose();
    rmSync(folder, { recursive: true, force: true });
  }
});
beforeEach(() => {
  settings = hostSettings();
});
afterEach(async () => {
  await engine.removeAll();
  expect(fingerprint(canary.folder)).toBe(canary.before);
  expect(hostSettings()).toEqual(settings);
  expect(foreignMounts(engine)).toEqual(mounts);
});

/** A volume in which `dir` (a directory) and `link` (a symlink to `target`) change places. */
async function racingVolume(name: string, target: string): Promise<string> {
  const { Mountpoint } = await engine.docker.createVolume({ Name: name }).then((volume) => volume.inspect());
  mkdirSync(join(Mountpoint, "dir/deeper"), { recursive: true });
  symlinkSync(target, join(Mountpoint, "link"));
  await hostiles.start(["swap", "/v/dir", "/v/link"], { binds: [`${name}:/v`], ready: true });
  return Mountpoint;
}

test.each(["the canary", "/proc/sys/kernel", "/"])(
  "a mount below a directory that another container swaps for a symlink to %s lands inside, or the start fails",
  async (place) => {
    const name = `racing-${place.length}`;
    await racingVolume(name, place === "the canary" ? canary.folder : place);
    writeFileSync(join(engine.root, "payload"), "payload");
    const marks = ["/v/dir", "/v/dir/deeper", "/v/dir/made", "/v/dir/file"];
    const binds = [
      `${name}:/v`,
      `nested-${name}:${marks[0]}/deeper/made/by/mkdir`,
      `${join(engine.root, "payload")}:${marks[3]}`,
    ];
    let [started, refused] = [0, 0];
    for (let round = 0; round < Math.ceil(races / 3); round++) {
      try {
        const { code } = await engine.finish(["true"], { Binds: binds });
        expect(code).toBe(0);
        started++;
      } catch {
        refused++;
        await removeCreated();
      }
      expect(foreignMounts(engine)).toEqual(mounts);
    }
    expect(started + refused).toBe(Math.ceil(races / 3));
    expect(readFileSync(join(engine.root, "payload"), "utf8")).toBe("payload");
  },
);

async function removeCreated(): Promise<void> {
  for (const { Id } of await engine.docker.listContainers({ all: true, filters: { status: ["created"] } })) {
    await engine.docker.getContainer(Id).remove({ force: true });
  }
}

test("a working directory in a volume that is being swapped is made inside", async () => {
  await racingVolume("racing-cwd", canary.folder);
  for (let round = 0; round < Math.ceil(races / 3); round++) {
    const id = await engine.create(["true"], { Binds: ["racing-cwd:/v"] }, { WorkingDir: "/v/dir/w/o/r/k" });
    await engine.docker
      .getContainer(id)
      .start()
      .catch(() => undefined);
    await removeCreated();
  }
});

/** What came of it: a tree that changes while it is sent may end the answer early. */
async function download(container: Container, path: string): Promise<Buffer> {
  const chunks: Buffer[] = [];
  try {
    for await (const chunk of await container.getArchive({ path })) chunks.push(chunk as Buffer);
  } catch {
    // refused, or cut short
  }
  return Buffer.concat(chunks);
}

test("copying into and out of a container that swaps its directories gains nothing and changes nothing", async () => {
  const link = `rm -rf /tmp/dir /tmp/link; mkdir /tmp/dir; echo own > /tmp/dir/passwd; ln -s ${canary.folder} /tmp/link`;
  const id = await engine.run(["sh", "-c", `${link}; exec /h/hostile swap /tmp/dir /tmp/link`], {
    Binds: [`${folder}:/h:ro`],
    PidsLimit: 50,
  });
  const container = engine.docker.getContainer(id);
  const upload = tarOf({ "sub/file": "evil", passwd: "evil" });
  for (let round = 0; round < races; round++) {
    await container.putArchive(upload, { path: "/tmp/dir" }).catch(() => undefined);
    for (const path of ["/tmp/dir", "/tmp/dir/.", "/tmp/dir/passwd", "/tmp/dir/sub/deeper/secret"]) {
      const tar = await download(container, path);
      expect(tar.includes(canaryText)).toBe(false);
      await container.infoArchive({ path }).catch(() => undefined);
    }
  }
});

test("copying with a volume that is being swapped for a symlink below the mount changes nothing of the host", async () => {
  await racingVolume("racing-cp", "/");
  const id = await engine.create(["true"], { Binds: ["racing-cp:/v", "inner-cp:/v/dir/deeper"] });
  const container = engine.docker.getContainer(id);
  const before = foreignMounts(engine);
  for (let round = 0; round < races; round++) {
    await container.putArchive(tarOf({ note: "x" }), { path: "/v/dir/deeper" }).catch(() => undefined);
    await download(container, "/v/dir/deeper/");
    expect(foreignMounts(engine)).toEqual(before);
  }
});

test("absolute symlinks of a container still lead where they do inside it", async () => {
  const line = "mkdir -p /data/real; echo inside > /data/real/file; ln -s /data/real /abs; exec sleep 1000";
  const id = await engine.run(["sh", "-c", line]);
  const container = engine.docker.getContainer(id);
  await expect
    .poll(() => container.getArchive({ path: "/abs/file" }).then(buffer, () => Buffer.alloc(0)))
    .toSatisfy((tar: Buffer) => tar.includes("inside"));
  await container.putArchive(tarOf({ more: "put" }), { path: "/abs" });
  expect((await buffer(await container.getArchive({ path: "/data/real/more" }))).includes("put")).toBe(true);
});

test("a secret that is put onto a symlink of the container's stays inside it", async () => {
  const id = await engine.create(["true"]);
  const container = engine.docker.getContainer(id);
  await container.putArchive(tarOf({ "run/secrets": `-> ${canary.folder}` }), { path: "/" });
  await container.putArchive(tarOf({ "run/secrets/passwd": "secret" }), { path: "/" }).catch(() => undefined);
});
