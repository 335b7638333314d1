/** bin/tscompose.cjs: which bundle it loads, and that nothing but time depends on what it finds beside the bundles. */
import { spawnSync } from "node:child_process";
import {
  chmodSync,
  copyFileSync,
  cpSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { Command } from "commander";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { addGlobalOptions } from "../../../src/cli/globals.ts";

const repository = resolve(import.meta.dirname, "../../..");
const launcher = createRequire(import.meta.url)(join(repository, "bin/tscompose.cjs")) as {
  readonly bundleOf: (argv: readonly string[]) => string;
  readonly quickCommands: readonly string[];
};

describe("the bundle for a command line", () => {
  test("is a small one for commands that only look, after any of the global flags", () => {
    const program = new Command();
    addGlobalOptions(program);
    for (const { long, short, required } of program.options) {
      const named = long === "--project-name" ? "named" : "quick";
      for (const flag of [long, short].filter((name) => name !== undefined && name !== null)) {
        const given = required ? [flag, "up"] : [flag];
        expect([given, launcher.bundleOf([...given, "ps", "up"])]).toEqual([given, named]);
        expect([given, launcher.bundleOf([...given, "up", "ps"])]).toEqual([given, "tscompose"]);
      }
      if (required) expect(launcher.bundleOf([`${long}=up`, "ps"])).toBe(named);
    }
    expect(launcher.bundleOf(["exec", "-T", "web", "up"])).toBe("quick");
  });

  test("can read compose files unless the project is named and no file is", () => {
    const bundles = {
      "-p x ps": "named",
      "--project-name=x --strict ps": "named",
      "-p x -f y ps": "quick",
      "-f y -p x ps": "quick",
      "--file=y -p x ps": "quick",
      "--project-name= ps": "quick",
      "-p x --project-name= ps": "quick",
      "ps -p x": "quick",
      ls: "named",
      "-f y version": "named",
    };
    for (const [line, bundle] of Object.entries(bundles))
      expect([line, launcher.bundleOf(line.split(" "))]).toEqual([line, bundle]);
    expect(launcher.bundleOf(["-p", "", "ps"])).toBe("quick");
  });

  test("is the whole one for everything that is not plain", () => {
    for (const argv of [[], ["--help"], ["help", "ps"], ["-pps", "ps"], ["--no-such-flag", "ps"], ["-p"], ["-p", "ps"]])
      expect([argv, launcher.bundleOf(argv)]).toEqual([argv, "tscompose"]);
    expect(launcher.bundleOf(["--strict=ps", "ps"])).toBe("tscompose");
    expect(launcher.bundleOf(["engine", "serve"])).toBe("engine");
    expect(launcher.bundleOf(["engine", "status"])).toBe("tscompose");
  });

  test("has the command: each runs from it as far as its help", () => {
    for (const command of launcher.quickCommands) {
      for (const project of [[], ["-p", "x"]]) {
        const argv = [join(repository, "bin/tscompose.cjs"), ...project, command, "--help"];
        const help = spawnSync(process.execPath, argv, { encoding: "utf8" });
        expect([command, help.status, help.stderr]).toEqual([command, 0, ""]);
        expect(help.stdout).toContain(`Usage: tscompose ${command}`);
      }
    }
  });
});

describe("an installed program", () => {
  let folder: string;
  const file = (name: string): string => join(folder, "dist", name);
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), "installed-"));
    mkdirSync(join(folder, "bin"));
    for (const name of ["tscompose", "tscompose.cjs"])
      copyFileSync(join(repository, "bin", name), join(folder, "bin", name));
    cpSync(join(repository, "dist"), join(folder, "dist"), { recursive: true });
    symlinkSync(join(repository, "node_modules"), join(folder, "node_modules"));
    writeFileSync(join(folder, "compose.yaml"), "services: {a: {image: x, ports: [80]}}\n");
  });
  afterEach(() => {
    for (const path of [folder, join(folder, "dist")]) chmodSync(path, 0o755);
    rmSync(folder, { recursive: true });
  });

  /** `port` of a project without containers: it reads the file, and asks an engine that is not there. */
  function runs(): void {
    const run = (args: readonly string[]): { readonly stdout: string; readonly stderr: string } =>
      spawnSync(join(folder, "bin/tscompose"), args, { cwd: folder, encoding: "utf8" });
    expect(run(["version", "--short"])).toMatchObject({
      stdout: expect.stringMatching(/^\d+\.\d+\.\d+\n$/),
      stderr: "",
    });
    expect(run(["config", "--images"])).toMatchObject({ stdout: "x\n", stderr: "" });
    for (const project of [[], ["-p", "x"]]) {
      const unreachable = run(["-H", `unix://${folder}/none.sock`, ...project, "port", "a", "80"]);
      expect(unreachable.stderr).toMatch(/none\.sock/);
      expect(unreachable.stderr).not.toMatch(/\.cjs/);
    }
  }

  test("runs without code caches", () => {
    for (const name of ["quick", "named", "tscompose", "engine"]) rmSync(file(`${name}.cache`));
    runs();
  });

  test("runs with caches that belong to other bundles", () => {
    const [quick, whole] = [readFileSync(file("quick.cache")), readFileSync(file("tscompose.cache"))];
    for (const name of ["quick", "named"]) writeFileSync(file(`${name}.cache`), whole);
    writeFileSync(file("tscompose.cache"), quick);
    runs();
  });

  test("runs with caches that are cut off, empty or no caches", () => {
    for (const bytes of [
      readFileSync(file("quick.cache")).subarray(0, 5000),
      Buffer.alloc(0),
      Buffer.alloc(100_000, 7),
    ]) {
      for (const name of ["quick", "named", "tscompose"]) writeFileSync(file(`${name}.cache`), bytes);
      runs();
    }
  });

  test("runs without the small bundles", () => {
    for (const name of ["quick.cjs", "quick.cache", "named.cjs", "named.cache"]) rmSync(file(name));
    runs();
  });

  test("runs from folders that nobody can write to", () => {
    for (const path of [join(folder, "dist"), folder]) chmodSync(path, 0o555);
    runs();
  });

  test("without any bundle it says what to do", () => {
    rmSync(join(folder, "dist"), { recursive: true });
    mkdirSync(join(folder, "dist"));
    const result = spawnSync(join(folder, "bin/tscompose"), ["ps"], { cwd: folder, encoding: "utf8" });
    expect(result).toMatchObject({ status: 1, stderr: expect.stringContaining("npm run setup") });
  });
});
