import { mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { makeDirectories } from "../../../src/host/make-directory.ts";

describe("making directories", () => {
  it("makes parents, leaves what is there, and refuses a file in the way", () => {
    const root = mkdtempSync(join(tmpdir(), "tsc-dirs-"));
    try {
      makeDirectories(join(root, "a/b/c"), 0o700);
      expect(statSync(join(root, "a/b/c")).mode & 0o777).toBe(0o700);
      makeDirectories(join(root, "a/b/c"));
      writeFileSync(join(root, "file"), "");
      expect(() => makeDirectories(join(root, "file"))).toThrow(/EEXIST/);
      expect(() => makeDirectories(join(root, "file/below"))).toThrow(/ENOTDIR/);
    } finally {
      rmSync(root, { recursive: true });
    }
  });

  it("ends where the kernel lets nobody make one", () => {
    expect(() => makeDirectories("/proc/no/such/place")).toThrow(/ENOENT/);
  });
});
