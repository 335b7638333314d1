/** What layers are to each other, and to a disk that is full. */
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import {
  closeSync,
  createReadStream,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  statSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { createImageStore } from "../../../src/engine/images/store.ts";
import { makeBusyboxArchive } from "../../support/images.ts";
import { drain, makeStore, type StoreKit } from "./store-kit.ts";
import { makeTar, type EntrySpec } from "./tar-kit.ts";

let kit: StoreKit;
beforeEach(() => {
  kit = makeStore();
});
afterEach(() => kit.dispose());

/** A docker archive with these layers. */
function archive(layers: readonly (readonly EntrySpec[])[]): string {
  const tars = layers.map((entries) => makeTar(...entries));
  const config = JSON.stringify({
    architecture: "amd64",
    os: "linux",
    rootfs: { type: "layers", diff_ids: tars.map((tar) => `sha256:${createHash("sha256").update(tar).digest("hex")}`) },
  });
  const manifest = [{ Config: "config.json", RepoTags: ["made:1"], Layers: tars.map((_, i) => `${i}.tar`) }];
  const path = join(kit.root, "made.tar");
  writeFileSync(
    path,
    makeTar(
      { name: "manifest.json", content: JSON.stringify(manifest) },
      { name: "config.json", content: config },
      ...tars.map((content, i) => ({ name: `${i}.tar`, content })),
    ),
  );
  return path;
}

test("a directory that a layer only passes through keeps what the layers below say of it", async () => {
  await kit.load(
    archive([
      [
        { name: "tmp", type: "dir", mode: 0o1777, mtime: { sec: 5, nsec: 7 } },
        { name: "srv", type: "dir", mode: 0o750, uid: 33, gid: 34 },
      ],
      [{ name: "tmp/a", content: "a" }],
      [
        { name: "tmp/b/c", content: "c" },
        { name: "srv/new/x", content: "x" },
      ],
    ]),
  );
  const [, second = "", third = ""] = kit.store.resolve("made:1").layerDirs;
  const mode = (path: string): number => statSync(path).mode & 0o7777;
  expect([mode(join(second, "tmp")), mode(join(third, "tmp")), mode(join(third, "tmp/b"))]).toEqual([
    0o1777, 0o1777, 0o755,
  ]);
  expect(statSync(join(third, "tmp"), { bigint: true }).mtimeNs).toBe(5_000_000_007n);
  expect(statSync(join(third, "srv"))).toMatchObject({ uid: 33, gid: 34 });
  expect(mode(join(third, "srv"))).toBe(0o750);
});

test("overlayfs shows the layers together as the image means them", async () => {
  await kit.load(
    archive([
      [
        { name: "a", content: "old" },
        { name: "gone", content: "x" },
        { name: "dir/old", content: "x" },
        { name: "kept/one", content: "1" },
      ],
      [
        { name: "a", content: "new" },
        { name: ".wh.gone" },
        { name: "dir", type: "dir" },
        { name: "dir/.wh..wh..opq" },
        { name: "dir/new", content: "y" },
        { name: "kept/two", content: "2" },
      ],
    ]),
  );
  mounted((target) => {
    expect(filesIn(target)).toEqual(["a", "dir/new", "kept/one", "kept/two"]);
    expect(readFileSync(join(target, "a"), "utf8")).toBe("new");
  });
});

test("a layer that occurs twice is stacked once, with the same effect", async () => {
  const twice: readonly EntrySpec[] = [
    { name: "x", content: "1" },
    { name: ".wh.base" },
    { name: "d/y", content: "y" },
  ];
  await kit.load(
    archive([[{ name: "base", content: "b" }], twice, [{ name: ".wh.x" }, { name: "d/z", content: "z" }], twice]),
  );
  const image = kit.store.resolve("made:1");
  expect(image.config.rootfs.diff_ids).toHaveLength(4);
  expect(image.layerDirs).toHaveLength(3);
  mounted((target) => expect(filesIn(target)).toEqual(["d/y", "d/z", "x"]));
  await kit.reopen();
  expect(kit.store.layerDirs(image.chainId ?? "")).toEqual(image.layerDirs);
});

test("a hundred layers fit into one mount option of 4096 bytes below the default data root", async () => {
  await kit.load(archive(Array.from({ length: 100 }, (_, i) => [{ name: `f${i}` }])));
  const dirs = kit.store.resolve("made:1").layerDirs.map((dir) => dir.replace(kit.dataRoot, "/var/lib/tscompose"));
  expect(new Set(dirs).size).toBe(100);
  expect(`lowerdir=${dirs.join(":")}`.length).toBeLessThan(4000);
});

test("a full disk is one clear error, nothing is left behind, and removing still works", async () => {
  const small = join(kit.root, "small");
  mkdirSync(small);
  execFileSync("mount", ["-t", "tmpfs", "-o", "size=7m", "tmpfs", small]);
  const store = createImageStore({
    dataRoot: join(small, "data"),
    runRoot: kit.root,
    log: () => undefined,
    emit: () => undefined,
    env: {},
  });
  try {
    await drain(store.load(createReadStream(await makeBusyboxArchive(kit.root))));
    const big = archive([[{ name: "big", content: Buffer.alloc(8_000_000, 1) }]]);
    await expect(drain(store.load(createReadStream(big)))).rejects.toMatchObject({ code: "host/no-space" });
    expect((await store.list({ all: false, filters: new Map() })).map(({ RepoTags }) => RepoTags)).toEqual([
      ["busybox:latest"],
    ]);
    fillUp(join(small, "filler"));
    await store.remove("busybox", { force: false, noPrune: false });
    await store.close();
    for (const dir of ["images/tmp", "images/records", "images/blobs/sha256", "l"])
      expect(readdirSync(join(small, "data", dir))).toEqual([]);
  } finally {
    await store.close();
    execFileSync("umount", [small]);
  }
});

/** With the image `made:1` mounted as a container's root. */
function mounted(use: (target: string) => void): void {
  const [target, upper, work] = ["merged", "upper", "work"].map((name) => join(kit.root, name)) as [
    string,
    string,
    string,
  ];
  for (const dir of [target, upper, work]) mkdirSync(dir);
  const lower = kit.store.resolve("made:1").layerDirs.toReversed().join(":");
  execFileSync("mount", [
    "-t",
    "overlay",
    "overlay",
    "-o",
    `lowerdir=${lower},upperdir=${upper},workdir=${work}`,
    target,
  ]);
  try {
    use(target);
  } finally {
    execFileSync("umount", [target]);
  }
}

function filesIn(dir: string): string[] {
  const list = execFileSync("find", [dir, "-type", "f", "-printf", "%P\n"], { encoding: "utf8" });
  return list.trim().split("\n").toSorted();
}

/** Takes the last byte. */
function fillUp(path: string): void {
  const fd = openSync(path, "w");
  try {
    for (;;) writeSync(fd, Buffer.alloc(4096));
  } catch (error) {
    expect(error).toMatchObject({ code: "ENOSPC" });
  } finally {
    closeSync(fd);
  }
}
