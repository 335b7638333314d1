/** Archives out of the store, and root file systems into it. */
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { createReadStream, createWriteStream, mkdirSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { makeBusyboxArchive } from "../../support/images.ts";
import { drain, makeStore, type StoreKit } from "./store-kit.ts";

let kit: StoreKit;
let other: StoreKit;
beforeEach(async () => {
  kit = makeStore();
  other = makeStore();
  await kit.load(await makeBusyboxArchive(kit.root));
});
afterEach(async () => {
  await kit.dispose();
  await other.dispose();
});

async function save(refs: readonly string[]): Promise<string> {
  const path = join(kit.root, "saved.tar");
  await pipeline(Readable.from(await kit.store.save(refs)), createWriteStream(path));
  return path;
}
function unpack(path: string): string {
  const dir = join(kit.root, "saved");
  mkdirSync(dir);
  execFileSync("tar", ["-C", dir, "-xf", path]);
  return dir;
}

describe("save", () => {
  test("gives an OCI layout that is docker's format too, with every blob under its own digest", async () => {
    await kit.store.tag("busybox", "second", "2");
    const dir = unpack(await save(["busybox", "second:2"]));
    expect(readdirSync(dir).toSorted()).toEqual(["blobs", "index.json", "manifest.json", "oci-layout", "repositories"]);
    for (const hex of readdirSync(join(dir, "blobs/sha256"))) {
      expect(
        createHash("sha256")
          .update(readFileSync(join(dir, "blobs/sha256", hex)))
          .digest("hex"),
      ).toBe(hex);
    }
    const json = (name: string): unknown => JSON.parse(readFileSync(join(dir, name), "utf8"));
    const { id } = kit.store.resolve("busybox");
    expect(json("manifest.json")).toMatchObject([
      { Config: `blobs/sha256/${id.slice(7)}`, RepoTags: ["busybox:latest", "second:2"] },
    ]);
    expect(json("index.json")).toMatchObject({
      manifests: [
        { annotations: { "io.containerd.image.name": "docker.io/library/busybox:latest" } },
        { annotations: { "io.containerd.image.name": "docker.io/library/second:2" } },
      ],
    });
  });

  test("what was saved loads elsewhere as the same images with the same names", async () => {
    await kit.store.tag("busybox", "second", "2");
    const messages = await other.load(await save(["busybox", "second:2"]));
    expect(messages.filter(({ stream }) => stream !== undefined)).toEqual([
      { stream: "Loaded image: busybox:latest\n" },
      { stream: "Loaded image: second:2\n" },
    ]);
    const [here, there] = [kit.store.resolve("second:2"), other.store.resolve("second:2")];
    expect({ ...there, layerDirs: [] }).toEqual({ ...here, layerDirs: [] });
  });

  test("the store itself is such a layout", async () => {
    await kit.store.close();
    const index: unknown = JSON.parse(readFileSync(join(kit.dataRoot, "images/index.json"), "utf8"));
    expect(index).toMatchObject({
      manifests: [{ annotations: { "io.containerd.image.name": "docker.io/library/busybox:latest" } }],
    });
    const tar = join(kit.root, "layout.tar");
    execFileSync("tar", ["-C", join(kit.dataRoot, "images"), "-cf", tar, "oci-layout", "index.json", "blobs"]);
    await other.load(tar);
    expect(other.store.resolve("busybox").manifestDigest).toBe(kit.store.resolve("busybox").manifestDigest);
  });

  test("saving what is not there is refused before the first byte", async () => {
    await expect(kit.store.save(["busybox", "nothing"])).rejects.toThrow("No such image: nothing:latest");
  });

  test("an archive with manifest.json alone, and docker's oldest format, load too", async () => {
    const dir = unpack(await save(["busybox"]));
    const manifestOnly = join(kit.root, "docker.tar");
    execFileSync("tar", ["-C", dir, "-cf", manifestOnly, "manifest.json", "blobs"]);
    await other.load(manifestOnly);
    expect(other.store.resolve("busybox").id).toBe(kit.store.resolve("busybox").id);

    const legacy = join(kit.root, "legacy");
    const id = "ab".repeat(32);
    execFileSync("sh", [
      "-c",
      `mkdir -p $1/$2 && cp $3/blobs/sha256/$4 $1/$2/layer.tar && printf 1.0 > $1/$2/VERSION &&
       printf '{"id":"%s","os":"linux","architecture":"amd64","config":{"Cmd":["sh"]}}' $2 > $1/$2/json &&
       printf '{"old":{"1":"%s"}}' $2 > $1/repositories && tar -C $1 -cf $1.tar repositories $2`,
      "sh",
      legacy,
      id,
      dir,
      kit.store.resolve("busybox").config.rootfs.diff_ids[0]?.slice(7) ?? "",
    ]);
    await other.load(`${legacy}.tar`);
    expect(other.store.resolve("old:1").config).toMatchObject({
      config: { Cmd: ["sh"] },
      rootfs: { diff_ids: kit.store.resolve("busybox").config.rootfs.diff_ids },
    });
  });
});

describe("import", () => {
  test("a packed root file system becomes an image of one layer with the changes applied", async () => {
    const tar = join(kit.root, "rootfs.tar.gz");
    execFileSync("tar", ["-C", kit.store.resolve("busybox").layerDirs[0] ?? "", "-czf", tar, "."]);
    const options = {
      reference: "imported:1",
      message: "by test",
      changes: ['CMD ["ls"]', "ENV A=b", "WORKDIR /srv", "EXPOSE 80"],
    };
    const messages = await drain(kit.store.importTar(createReadStream(tar), options));
    const image = kit.store.resolve("imported:1");
    expect(messages).toEqual([{ status: image.id }]);
    expect(image.config.config).toEqual({
      Cmd: ["ls"],
      Env: ["A=b"],
      WorkingDir: "/srv",
      ExposedPorts: { "80/tcp": {} },
    });
    execFileSync("diff", [
      "-r",
      "--no-dereference",
      kit.store.resolve("busybox").layerDirs[0] ?? "",
      image.layerDirs[0] ?? "",
    ]);
    expect(await kit.store.history("imported:1")).toMatchObject([{ Comment: "by test", Tags: ["imported:1"] }]);
    await other.load(await save(["imported:1"]));
    expect(other.store.resolve("imported:1").id).toBe(image.id);
  });

  test("a change that would do something is refused", async () => {
    const run = (): Promise<unknown> =>
      drain(kit.store.importTar(Readable.from([]), { reference: undefined, message: "", changes: ["RUN id"] }));
    await expect(run()).rejects.toThrow("RUN is not a valid change command");
  });
});

describe("lists", () => {
  test("filters by reference, dangling, label, before and since", async () => {
    const list = async (...filters: [string, string[]][]): Promise<(readonly string[])[]> =>
      (await kit.store.list({ all: false, filters: new Map(filters) })).map(({ RepoTags }) => RepoTags);
    await kit.store.commitImage(
      { ...kit.store.resolve("busybox").config, created: "2026-06-01T00:00:00Z", config: { Labels: { a: "b" } } },
      ["team/later:1"],
    );
    expect(await list()).toEqual([["team/later:1"], ["busybox:latest"]]);
    expect(await list(["reference", ["busy*"]])).toEqual([["busybox:latest"]]);
    expect(await list(["reference", ["team*"]])).toEqual([]);
    expect(await list(["reference", ["*/later", "nothing"]])).toEqual([["team/later:1"]]);
    expect(await list(["label", ["a=b"]])).toEqual([["team/later:1"]]);
    expect(await list(["label", ["a=c"]])).toEqual([]);
    expect(await list(["before", ["team/later:1"]])).toEqual([["busybox:latest"]]);
    expect(await list(["since", ["busybox"]])).toEqual([["team/later:1"]]);
    expect(await list(["until", ["2026-03-01T00:00:00Z"]])).toEqual([["busybox:latest"]]);
    expect(await list(["dangling", ["true"]])).toEqual([]);
    await expect(list(["colour", ["red"]])).rejects.toThrow("invalid filter 'colour'");
  });

  test("prune takes images without a name, and all unused ones when asked", async () => {
    const { id } = kit.store.resolve("busybox");
    expect(await kit.store.prune(new Map())).toEqual({ ImagesDeleted: [], SpaceReclaimed: 0 });
    const result = await kit.store.prune(new Map([["dangling", ["false"]]]));
    expect(result.ImagesDeleted).toContainEqual({ Deleted: id });
    expect(result.SpaceReclaimed).toBeGreaterThan(1_000_000);
  });
});
