import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { ownerOf } from "../../../../../src/engine/build/files/user-of.ts";

// What BuildKit v0.32 made of the same instructions over the same passwd and group.
const root = mkdtempSync(join(tmpdir(), "tsc-user-"));
beforeAll(() => {
  mkdirSync(join(root, "etc"));
  writeFileSync(join(root, "etc/passwd"), "root:x:7:8::/:/bin/sh\nu:x:77:78::/:/bin/sh\n");
  writeFileSync(join(root, "etc/group"), "root:x:9:\ng:x:55:\n");
});
afterAll(() => rmSync(root, { recursive: true, force: true }));

describe("--chown", () => {
  it.each([
    ["5", 5, 5],
    ["05", 5, 5],
    ["+5", 5, 5],
    ["5:", 5, 0],
    [":5", 0, 5],
    [":", 0, 0],
    ["u", 77, 78],
    ["u:", 77, 0],
    ["u:g", 77, 55],
    ["u:nope", 77, 78],
    ["nope", 0, 0],
    ["nope:g", 0, 55],
    [":g", 0, 55],
    [":u", 0, 0],
    ["5:g", 5, 55],
    ["5:nope", 5, 5],
    ["root", 0, 0],
    ["root:root", 0, 0],
    ["5:root", 5, 0],
    ["root:5", 0, 5],
    ["2147483647", 2147483647, 2147483647],
    ["2147483648", 0, 0],
    ["99999999999", 0, 0],
  ])("%s is %i:%i", (text, uid, gid) => expect(ownerOf(text, root)).toEqual({ uid, gid }));

  it("is nothing when it is empty", () => expect(ownerOf("", root)).toBeUndefined());

  it.each(["app", "5:app", "app:5", "root:g"])("%s needs files", (text) =>
    expect(() => ownerOf(text, undefined)).toThrow("invalid user index: -1"),
  );

  it.each(["5", "5:", ":", "root", "root:root"])("%s needs no files", (text) =>
    expect(() => ownerOf(text, undefined)).not.toThrow(),
  );

  it("takes no name from a passwd or a group that is no file, and numbers all the same", () => {
    const odd = mkdtempSync(join(root, "odd-"));
    mkdirSync(join(odd, "etc/passwd"), { recursive: true });
    mkdirSync(join(odd, "etc/group"));
    expect(() => ownerOf("app", odd)).toThrow("/etc/passwd is not a regular file");
    expect(() => ownerOf("5:app", odd)).toThrow("/etc/group is not a regular file");
    expect(ownerOf("5:6", odd)).toEqual({ uid: 5, gid: 6 });
  });
});
