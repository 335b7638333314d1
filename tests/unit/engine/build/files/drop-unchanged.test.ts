import { chmodSync, lstatSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, utimesSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { dropUnchanged } from "../../../../../src/engine/build/files/drop-unchanged.ts";
import { Tree } from "../../../../../src/engine/build/files/tree.ts";

let root: string;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "tsc-drop-"));
  for (const side of ["upper", "lower"]) mkdirSync(join(root, side, "d"), { recursive: true });
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

function file(path: string, text: string, { mode = 0o644, second = 1000 } = {}): void {
  writeFileSync(join(root, path), text);
  chmodSync(join(root, path), mode);
  utimesSync(join(root, path), second, second);
}

async function kept(path: string): Promise<boolean> {
  const lower = new Tree(join(root, "lower"));
  try {
    await dropUnchanged(join(root, "upper"), lower);
  } finally {
    lower.close();
  }
  return lstatSync(join(root, "upper", path), { throwIfNoEntry: false }) !== undefined;
}

describe("dropUnchanged", () => {
  it("drops the same file, and the directory with nothing else in it", async () => {
    file("lower/d/f", "text");
    file("upper/d/f", "text");
    expect(await kept("d")).toBe(false);
  });

  it.each([
    ["contents", "tex2", {}],
    ["size", "longer", {}],
    ["mode", "text", { mode: 0o600 }],
    ["time", "text", { second: 1001 }],
  ])("keeps a file of another %s", async (_, text, options) => {
    file("lower/d/f", "text");
    file("upper/d/f", text, options);
    expect(await kept("d/f")).toBe(true);
  });

  it("keeps a file that is new, and the directory around it", async () => {
    file("lower/d/other", "text");
    file("upper/d/f", "text");
    expect(await kept("d/f")).toBe(true);
  });

  it("keeps a directory of another mode", async () => {
    chmodSync(join(root, "upper/d"), 0o700);
    expect(await kept("d")).toBe(true);
  });

  it("keeps a directory in the place of a file", async () => {
    file("lower/x", "text");
    mkdirSync(join(root, "upper/x"));
    expect(await kept("x")).toBe(true);
  });

  it("keeps a symlink that leads elsewhere", async () => {
    symlinkSync("one", join(root, "lower/l"));
    symlinkSync("two", join(root, "upper/l"));
    expect(await kept("l")).toBe(true);
  });
});
