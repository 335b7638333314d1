import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { mountOverlay, unmountOverlay } from "../../../src/host/overlay.ts";

let root: string;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "tsc-overlay-"));
  for (const name of ["upper", "work", "merged"]) mkdirSync(join(root, name));
});
afterEach(() => {
  unmountOverlay(join(root, "merged"));
  rmSync(root, { recursive: true });
});

function layers(count: number, name: string): readonly string[] {
  return Array.from({ length: count }, (_, index) => {
    const path = join(root, `${name}-${index}`);
    mkdirSync(path);
    writeFileSync(join(path, `file-${index}`), String(index));
    writeFileSync(join(path, "same"), String(index));
    return path;
  });
}

test.each([1, 10, 120])(
  "%i layers are mounted, the first one on top, though their paths fill more than a page",
  (count) => {
    const lower = layers(count, `a-rather-long-name-of-a-layer-${"x".repeat(64)}`);
    mountOverlay({ lower, upper: join(root, "upper"), work: join(root, "work") }, join(root, "merged"));
    const merged = join(root, "merged");
    expect(readdirSync(merged)).toHaveLength(count + 1);
    expect(readFileSync(join(merged, "same"), "utf8")).toBe("0");
    writeFileSync(join(merged, "new"), "x");
    expect(readdirSync(join(root, "upper"))).toEqual(["new"]);
  },
);

test("paths with the characters that part the options", () => {
  const lower = layers(2, "a:b,c\\d");
  mountOverlay({ lower }, join(root, "merged"));
  expect(readdirSync(join(root, "merged"))).toEqual(["file-0", "file-1", "same"]);
});

test("unmounting what is not mounted is fine", () => {
  unmountOverlay(join(root, "merged"));
  unmountOverlay(join(root, "nothing"));
});
