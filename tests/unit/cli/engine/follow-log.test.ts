import { appendFileSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { followFile, lastLines } from "../../../../src/cli/engine/follow-log.ts";

let directory: string;
let path: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "tsc-log-"));
  path = join(directory, "engine.log");
  writeFileSync(path, "one\ntwo\nthree\n");
});
afterEach(() => {
  rmSync(directory, { recursive: true });
});

describe("the engine's log", () => {
  it("shows its last lines", () => {
    expect(lastLines(path, 2)).toBe("two\nthree\n");
    expect(lastLines(path, 0)).toBe("");
    expect(lastLines(path, undefined)).toBe("one\ntwo\nthree\n");
    expect(lastLines(join(directory, "none"), 5)).toBe("");
  });

  it("is followed from where it was shown, and again from the start when it was replaced", async () => {
    const stop = new AbortController();
    let seen = "";
    const following = followFile(path, 14, { signal: stop.signal, write: (text) => (seen += text) });
    appendFileSync(path, "four\n");
    await expect.poll(() => seen).toBe("four\n");
    writeFileSync(path, "new\n");
    await expect.poll(() => seen).toBe("four\nnew\n");
    stop.abort();
    await following;
  });
});
