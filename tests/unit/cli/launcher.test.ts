/** bin/tscompose, as it is installed: a link somewhere on PATH to a script that starts Node on the bundle. */
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";

const program = resolve(import.meta.dirname, "../../../bin/tscompose");

describe("the launcher", () => {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), "launcher-"));
    writeFileSync(join(folder, "compose.yaml"), 'services: {a: {image: "x:${NODE_EXTRA_CA_CERTS-none}"}}\n');
  });
  afterEach(() => rmSync(folder, { recursive: true }));

  function run(command: string, args: readonly string[], env: Readonly<Record<string, string>> = {}): string {
    const { NODE_EXTRA_CA_CERTS: _certificates, ...own } = process.env;
    return execFileSync(command, args, { cwd: folder, env: { ...own, ...env }, encoding: "utf8" });
  }

  test("works through a link, by its name on PATH, and as an argument of sh", () => {
    symlinkSync(program, join(folder, "tsc"));
    const version = run(program, ["version", "--short"]);
    expect(version).toMatch(/^\d+\.\d+\.\d+\n$/);
    expect(run(join(folder, "tsc"), ["version", "--short"])).toBe(version);
    expect(run("tsc", ["version", "--short"], { PATH: `${folder}:${process.env["PATH"]}` })).toBe(version);
    expect(run("sh", ["tsc", "version", "--short"])).toBe(version);
  });

  test("hands arguments on as they are", () => {
    writeFileSync(join(folder, "a  b.yaml"), "services: {a: {image: y}}\n");
    expect(run(program, ["-f", "a  b.yaml", "config", "--images"])).toBe("y\n");
  });

  test("keeps NODE_EXTRA_CA_CERTS from Node, and the program finds it where it was", () => {
    const env = { NODE_EXTRA_CA_CERTS: "/no-such-file" };
    expect(run(program, ["config", "--images"], env)).toBe("x:/no-such-file\n");
    expect(run(program, ["config", "--environment"], env)).toContain("NODE_EXTRA_CA_CERTS=/no-such-file\n");
    expect(run(program, ["config", "--environment"], env)).not.toContain("TSCOMPOSE_EXTRA_CA_CERTS");
    expect(run(program, ["config", "--images"])).toBe("x:none\n");
  });
});
