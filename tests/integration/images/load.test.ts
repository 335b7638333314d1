/** Archives into the store and out of it again, on the real file system. */
import { execFileSync } from "node:child_process";
import {
  createReadStream,
  existsSync,
  lstatSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { EngineEvent } from "../../../src/engine/events.ts";
import { createImageStore } from "../../../src/engine/images/store.ts";
import type { ProgressMessage } from "../../../src/engine/types.ts";
import { makeBusyboxArchive } from "../../support/images.ts";

let root: string;
let store: ReturnType<typeof createImageStore>;
let events: EngineEvent[];
let warnings: string[];

function open(): ReturnType<typeof createImageStore> {
  return createImageStore({
    dataRoot: join(root, "data"),
    runRoot: join(root, "run"),
    log: (message) => warnings.push(message),
    emit: (event) => events.push(event),
  });
}
async function load(path: string): Promise<ProgressMessage[]> {
  const messages: ProgressMessage[] = [];
  for await (const message of store.load(createReadStream(path))) messages.push(message);
  return messages;
}
const noFilters = { all: false, filters: new Map<string, readonly string[]>() };

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "images-"));
  events = [];
  warnings = [];
  store = open();
});
afterEach(async () => {
  await store.close();
  rmSync(root, { recursive: true, force: true });
});

describe("load", () => {
  test("unpacks busybox with its symlinks and says what was loaded", async () => {
    const messages = await load(await makeBusyboxArchive(root));
    expect(messages.at(-1)).toEqual({ stream: "Loaded image: busybox:latest\n" });
    const image = store.resolve("busybox");
    expect(image.repoTags).toEqual(["busybox:latest"]);
    expect(image.layerDirs).toHaveLength(1);
    const dir = image.layerDirs[0] ?? "";
    expect(execFileSync(join(dir, "bin/busybox"), ["echo", "hi"], { encoding: "utf8" })).toBe("hi\n");
    expect(lstatSync(join(dir, "bin/sh")).isSymbolicLink()).toBe(true);
    expect(statSync(join(dir, "tmp")).mode & 0o7777).toBe(0o1777);
    expect(statSync(join(dir, "bin/busybox")).mtimeMs).toBe(1_767_225_600_000);
    expect(events.map(({ action }) => action)).toEqual(["load"]);
  });

  test("takes gzip and zstd packed archives", async () => {
    const archive = await makeBusyboxArchive(root);
    execFileSync("gzip", ["-k", "-1", archive]);
    execFileSync("zstd", ["-q", "-k", "-1", archive]);
    const plain = await load(archive);
    const id = store.resolve("busybox").id;
    expect(await load(`${archive}.gz`)).toEqual(plain.slice(-1));
    expect(await load(`${archive}.zst`)).toEqual(plain.slice(-1));
    expect(store.resolve("busybox").id).toBe(id);
  });

  test("a file that is no archive of images is refused and leaves nothing behind", async () => {
    const path = join(root, "bad.tar");
    writeFileSync(path, Buffer.alloc(4096, "x"));
    await expect(load(path)).rejects.toThrow("tar archive is broken");
    execFileSync("tar", ["-C", "/etc", "-cf", path, "hostname"]);
    await expect(load(path)).rejects.toThrow("the archive holds no image");
    await store.close();
    expect(readdirSync(join(root, "data/images/tmp"))).toEqual([]);
    expect(readdirSync(join(root, "data/l"))).toEqual([]);
    expect(await store.list(noFilters)).toEqual([]);
  });

  test("an archive whose layer was changed is refused with both digests named", async () => {
    const archive = await makeBusyboxArchive(root);
    const dir = join(root, "x");
    execFileSync("mkdir", [dir]);
    execFileSync("tar", ["-C", dir, "-xf", archive]);
    execFileSync("tar", ["-C", dir, "-rf", join(dir, "layer.tar"), "manifest.json"]);
    execFileSync("tar", ["-C", dir, "-cf", archive, ...readdirSync(dir)]);
    await expect(load(archive)).rejects.toThrow(/does not match its digest: expected sha256:[a-f0-9]{64}, got sha256:/);
    await store.close();
    expect(readdirSync(join(root, "data/l"))).toEqual([]);
  });
});

describe("the store", () => {
  test("knows its images again after a restart", async () => {
    await load(await makeBusyboxArchive(root));
    const before = store.resolve("busybox");
    await store.close();
    store = open();
    expect(store.resolve("busybox:latest")).toEqual(before);
    expect(store.resolve(before.id.slice(7, 19))).toEqual(before);
    expect(warnings).toEqual([]);
  });

  test("sets a damaged record aside, says so, and goes on", async () => {
    await load(await makeBusyboxArchive(root));
    const id = store.resolve("busybox").id.slice(7);
    await store.close();
    writeFileSync(join(root, "data/images/records", `${id}.json`), "{");
    store = open();
    expect(() => store.resolve("busybox")).toThrow("No such image: busybox:latest");
    expect(warnings.join()).toContain("was set aside");
    expect(readdirSync(join(root, "data/images/corrupt"))).toEqual([`records-${id}.json`]);
    await load(await makeBusyboxArchive(root));
    expect(store.resolve("busybox").id).toBe(`sha256:${id}`);
  });

  test("removes what an engine that was killed left in the staging area and among the layers", async () => {
    await store.close();
    execFileSync("mkdir", ["-p", join(root, "data/images/tmp/abc/def"), join(root, "data/l/zzzzzzzz/etc")]);
    store = open();
    await store.close();
    expect(readdirSync(join(root, "data/images/tmp"))).toEqual([]);
    expect(readdirSync(join(root, "data/l"))).toEqual([]);
  });

  test("drops a layer that was not on the disk when the machine went down", async () => {
    await load(await makeBusyboxArchive(root));
    await store.close();
    const records = join(root, "data/images/layers");
    const file = join(records, readdirSync(records)[0] ?? "");
    const record = JSON.parse(execFileSync("cat", [file], { encoding: "utf8" })) as object;
    writeFileSync(file, JSON.stringify({ ...record, unsyncedBoot: "another boot" }));
    store = open();
    expect(() => store.resolve("busybox")).toThrow("No such image");
    expect(warnings.join()).toContain("went down before the layer was on the disk");
  });
});

describe("names", () => {
  test("tagging adds a name, removing it takes only the name, removing the last deletes the image", async () => {
    await load(await makeBusyboxArchive(root));
    const { id, layerDirs } = store.resolve("busybox");
    await store.tag("busybox", "registry.example/team/box", "1.2");
    expect(store.resolve("registry.example/team/box:1.2").repoTags).toEqual([
      "busybox:latest",
      "registry.example/team/box:1.2",
    ]);
    expect(await store.remove("busybox", { force: false, noPrune: false })).toEqual([{ Untagged: "busybox:latest" }]);
    const items = await store.remove("registry.example/team/box:1.2", { force: false, noPrune: false });
    expect(items).toEqual([
      { Untagged: "registry.example/team/box:1.2" },
      { Deleted: id },
      { Deleted: expect.stringMatching(/^sha256:/) as string },
    ]);
    await store.close();
    expect(existsSync(layerDirs[0] ?? "")).toBe(false);
    expect(readdirSync(join(root, "data/images/blobs/sha256"))).toEqual([]);
    expect(events.map(({ action }) => action)).toEqual(["load", "tag", "untag", "untag", "delete"]);
  });

  test("an image in use is not removed", async () => {
    await load(await makeBusyboxArchive(root));
    const { id } = store.resolve("busybox");
    let running = true;
    store.acquire(id, { containerId: "c".repeat(64), running: () => running });
    const remove = (ref: string, force: boolean): Promise<unknown> => store.remove(ref, { force, noPrune: false });
    await expect(remove("busybox", false)).rejects.toThrow(
      `conflict: unable to remove repository reference "busybox" (must force) - container cccccccccccc is using its referenced image ${id.slice(7, 19)}`,
    );
    await expect(remove(id, true)).rejects.toThrow(
      "(cannot be forced) - image is being used by running container cccccccccccc",
    );
    running = false;
    await expect(remove(id, false)).rejects.toThrow(
      "(must be forced) - image is being used by stopped container cccccccccccc",
    );
    expect(await remove(id, true)).toEqual([{ Untagged: "busybox:latest" }]);
    expect(store.resolve(id).layerDirs.every((dir) => existsSync(dir))).toBe(true);
    store.release(id, "c".repeat(64));
    expect((await store.prune(new Map())).ImagesDeleted[0]).toEqual({ Deleted: id });
  });

  test("an image in several repositories goes by id only with force", async () => {
    await load(await makeBusyboxArchive(root));
    const { id } = store.resolve("busybox");
    await store.tag("busybox", "other", undefined);
    await expect(store.remove(id, { force: false, noPrune: false })).rejects.toThrow(
      "image is referenced in multiple repositories",
    );
    expect(await store.remove(id, { force: true, noPrune: false })).toContainEqual({ Untagged: "other:latest" });
  });
});

describe("committed layers", () => {
  test("a directory becomes a layer, an image, and stays the same after a restart", async () => {
    await load(await makeBusyboxArchive(root));
    const base = store.resolve("busybox");
    const upper = join(root, "data/upper");
    execFileSync("mkdir", ["-p", join(upper, "etc")]);
    writeFileSync(join(upper, "etc/hello"), "hello\n");
    execFileSync("mknod", [join(upper, "etc/passwd"), "c", "0", "0"]);
    const layer = await store.commitLayer(base.chainId, upper);
    expect(layer.sizeBytes).toBe(6);
    expect(existsSync(upper)).toBe(false);
    const id = await store.commitImage(
      { ...base.config, rootfs: { type: "layers", diff_ids: [...base.config.rootfs.diff_ids, layer.diffId] } },
      ["mine:1"],
    );
    const image = store.resolve("mine:1");
    expect(image).toMatchObject({ id, chainId: layer.chainId });
    expect(image.layerDirs).toEqual([...base.layerDirs, ...store.layerDirs(layer.chainId).slice(-1)]);
    await store.close();
    store = open();
    expect(store.resolve("mine:1")).toEqual(image);
    await store.remove("mine:1", { force: false, noPrune: false });
    await store.close();
    expect(existsSync(image.layerDirs[1] ?? "")).toBe(false);
    expect(existsSync(image.layerDirs[0] ?? "")).toBe(true);
  });
});
