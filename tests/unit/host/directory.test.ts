import { closeSync, mkdirSync, mkdtempSync, openSync, renameSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { listAt, openDirectoryAt, pathAt, statAt } from "../../../src/host/directory.ts";

let dir: string;
let fd: number;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "directory-"));
  mkdirSync(join(dir, "inner/sub"), { recursive: true });
  writeFileSync(join(dir, "inner/file"), "abc");
  fd = openSync(join(dir, "inner"), "r");
});
afterEach(() => {
  closeSync(fd);
  rmSync(dir, { recursive: true, force: true });
});

test.each(["", ".", "..", "a/b", "/etc", "a\0b"])("%j is no single name", (name) => {
  expect(() => pathAt(fd, name)).toThrow("not a single path component");
});

test("entries are found by their names, those that are not there are not", () => {
  expect(listAt(fd).map(String).toSorted()).toEqual(["file", "sub"]);
  expect(statAt(fd, "file")?.size).toBe(3n);
  expect(statAt(fd, "nothing")).toBeUndefined();
});

test("a symlink is seen as one and not entered", () => {
  symlinkSync("/etc", join(dir, "inner/link"));
  expect(statAt(fd, "link")?.isSymbolicLink()).toBe(true);
  expect(openDirectoryAt(fd, "link")).toBeUndefined();
  expect(openDirectoryAt(fd, "file")).toBeUndefined();
});

test("the open directory stays the one it was, whatever takes its name", () => {
  renameSync(join(dir, "inner"), join(dir, "moved"));
  symlinkSync("/etc", join(dir, "inner"));
  expect(statAt(fd, "file")?.size).toBe(3n);
});
