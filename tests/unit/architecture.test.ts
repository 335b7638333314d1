/** The layers hold, and the check that says so can fail: a violation of every layer is planted and must be found. */
import { execFileSync, spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";

const root = resolve(import.meta.dirname, "../..");
const planted = mkdtempSync(join(tmpdir(), "layers-"));

/** File -> an import it must not make. */
const violations: Readonly<Record<string, string>> = {
  "src/spec/a.ts": "../planner/x.ts",
  "src/spec/b.ts": "node:fs",
  "src/spec/c.ts": "../host/x.ts",
  "src/planner/a.ts": "../compose/x.ts",
  "src/planner/b.ts": "../engine/x.ts",
  "src/planner/c.ts": "../host/x.ts",
  "src/compose/a.ts": "../engine/x.ts",
  "src/compose/b.ts": "../cli/x.ts",
  "src/compose/c.ts": "node:child_process",
  "src/client/a.ts": "../planner/x.ts",
  "src/client/b.ts": "../host/x.ts",
  "src/api/a.ts": "../network/x.ts",
  "src/api/b.ts": "../engine/x.ts",
  "src/engine/a.ts": "../spec/x.ts",
  "src/engine/b.ts": "../api/x.ts",
  "src/engine/c.ts": "node:child_process",
  "src/engine/d.ts": "koffi",
  "src/network/a.ts": "../engine/x.ts",
  "src/network/b.ts": "../cli/x.ts",
  "src/host/a.ts": "../network/x.ts",
  "src/cli/a.ts": "node:child_process",
};
const allowed: Readonly<Record<string, string>> = {
  "src/cli/ok.ts": "../host/x.ts",
  "src/compose/ok.ts": "../planner/x.ts",
  "src/planner/ok.ts": "../spec/x.ts",
  "src/engine/ok.ts": "../network/x.ts",
  "src/network/ok.ts": "../host/x.ts",
  "src/host/ok.ts": "node:child_process",
};

beforeAll(() => {
  writeFileSync(join(planted, ".oxlintrc.json"), readFileSync(join(root, ".oxlintrc.json")));
  symlinkSync(join(root, "node_modules"), join(planted, "node_modules"));
  for (const layer of ["spec", "planner", "compose", "client", "api", "engine", "network", "host", "cli"]) {
    mkdirSync(join(planted, "src", layer), { recursive: true });
    writeFileSync(join(planted, "src", layer, "x.ts"), "export const x = 1;\n");
  }
  for (const [file, target] of Object.entries({ ...violations, ...allowed })) {
    const path = join(planted, file);
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, `import * as x from "${target}";\nexport const used: unknown = x;\n`);
  }
});
afterAll(() => rmSync(planted, { recursive: true, force: true }));

interface LintReport {
  readonly diagnostics: readonly { readonly code: string; readonly filename: string }[];
  readonly number_of_files: number;
}
function lint(cwd: string): LintReport {
  const result = spawnSync(join(root, "node_modules/.bin/oxlint"), ["--format=json", "src"], { cwd, encoding: "utf8" });
  return JSON.parse(result.stdout) as LintReport;
}
const layerBreaks = (report: LintReport): string[] =>
  report.diagnostics.filter((one) => one.code.includes("no-restricted-imports")).map((one) => one.filename);

describe("the layers", () => {
  test("no file of src imports across them", () => {
    const report = lint(root);
    const tracked = execFileSync("git", ["ls-files", "src/*.ts"], { cwd: root, encoding: "utf8" }).trim().split("\n");
    expect(report.number_of_files).toBeGreaterThanOrEqual(tracked.length);
    expect(layerBreaks(report)).toEqual([]);
  });

  test("every planted violation is found, and nothing else", () => {
    const found = layerBreaks(lint(planted)).map((name) => name.replace(`${planted}/`, ""));
    expect([...new Set(found)].toSorted()).toEqual(Object.keys(violations).toSorted());
  });
});
