import { expect, test } from "vitest";
import { chainIds } from "../../../../../src/engine/images/digest.ts";
import { entryComponents } from "../../../../../src/engine/images/layers/entry-path.ts";
import { parseWhiteout } from "../../../../../src/engine/images/layers/whiteout.ts";
import { sniffCompression } from "../../../../../src/engine/images/media-types.ts";
import { humanSize, progressBar, ProgressStream } from "../../../../../src/engine/images/progress.ts";

const parts = (name: string): string[] => entryComponents(Buffer.from(name)).map(String);

test("entry names are components below the root", () => {
  expect(parts("./a//b/./c/")).toEqual(["a", "b", "c"]);
  expect(parts("/a/../b")).toEqual(["b"]);
  expect(parts("...")).toEqual(["..."]);
  expect(parts("./")).toEqual([]);
  for (const name of ["..", "a/../..", "/..", "a\0b"]) expect(() => parts(name)).toThrow("layer entry");
});

test("whiteouts by their names", () => {
  const kind = (name: string): string => parseWhiteout(Buffer.from(name))?.kind ?? "ordinary";
  expect(["x", ".wh", ".whx", "x.wh.y"].map(kind)).toEqual(["ordinary", "ordinary", "ordinary", "ordinary"]);
  expect([".wh.x", ".wh..x", ".wh..wh..opq", ".wh..wh.plnk", ".wh.", ".wh..", ".wh..."].map(kind)).toEqual([
    "remove",
    "remove",
    "opaque",
    "ignore",
    "invalid",
    "invalid",
    "invalid",
  ]);
});

test("chain ids as the image specification computes them", () => {
  const [a, b] = [`sha256:${"1".repeat(64)}`, `sha256:${"2".repeat(64)}`];
  // The second is sha256sum of `sha256:111... sha256:222...`.
  expect(chainIds([a, b])).toEqual([a, "sha256:9932074217c35353d2e03a3f5a86549f7c67bfeb0ba53e23d69f4d4c8f7958f5"]);
  expect(chainIds([])).toEqual([]);
});

test("packed streams by their first bytes", () => {
  expect(sniffCompression(Buffer.from("1f8b0800", "hex"))).toBe("gzip");
  expect(sniffCompression(Buffer.from("28b52ffd", "hex"))).toBe("zstd");
  expect(sniffCompression(Buffer.from("502a4d1800000000", "hex"))).toBe("zstd");
  expect(sniffCompression(Buffer.from("fd377a585a00", "hex"))).toBe("xz");
  expect(sniffCompression(Buffer.from("BZh9"))).toBe("bzip2");
  expect(sniffCompression(Buffer.from("./"))).toBe("none");
  expect(sniffCompression(Buffer.alloc(0))).toBe("none");
});

test("progress as Docker draws it", () => {
  expect(progressBar(50, 100)).toBe(`[${"=".repeat(25)}>${" ".repeat(24)}]  50B/100B`);
  expect(progressBar(100, 100)).toBe(`[${"=".repeat(50)}]  100B/100B`);
  expect([0, 999, 1000, 1_234_567, 2_500_000_000].map(humanSize)).toEqual(["0B", "999B", "1kB", "1.235MB", "2.5GB"]);
});

test("a slow reader of progress gets every message but only the newest count", async () => {
  const progress = new ProgressStream();
  progress.push({ id: "a", status: "Pulling fs layer" });
  for (let current = 1; current <= 100; current++) progress.count("a", "Downloading", { current, total: 100 });
  progress.count("b", "Downloading", { current: 1, total: 2 });
  progress.push({ id: "b", status: "Pull complete" });
  progress.fail(new Error("broken"));
  const seen: unknown[] = [];
  await expect(
    (async () => {
      for await (const { id, status, progressDetail } of progress) seen.push([id, status, progressDetail?.current]);
    })(),
  ).rejects.toThrow("broken");
  expect(seen).toEqual([
    ["a", "Pulling fs layer", undefined],
    ["b", "Pull complete", undefined],
    ["a", "Downloading", 100],
  ]);
});
