import { describe, expect, it } from "vitest";

import { formatDiagnostic } from "../../../src/spec/format-diagnostic.ts";
import { loadMemory, refusals } from "../../conformance/compose-spec/support.ts";

async function errorText(files: Readonly<Record<string, string>>): Promise<string> {
  return (await refusals(files))
    .filter((one) => one.severity === "error")
    .map(formatDiagnostic)
    .join("\n");
}

describe("an error", () => {
  it("shows the line, a caret under the key, and what was meant", async () => {
    expect(await errorText({ "compose.yaml": "services:\n  web:\n    image: x\n    enviroment: {}\n" })).toBe(
      [
        '/project/compose.yaml:4:5: error[unknown-key]: unknown key "enviroment" in services.web',
        "4 |     enviroment: {}",
        "  |     ^^^^^^^^^^",
        '  help: did you mean "environment"?',
      ].join("\n"),
    );
  });

  it("says what was expected and how to write it", async () => {
    expect(await errorText({ "compose.yaml": "services:\n  web:\n    image: x\n    hostname: 12\n" })).toBe(
      [
        "/project/compose.yaml:4:15: error[wrong-type]: services.web.hostname must be text, not the number 12",
        "4 |     hostname: 12",
        "  |               ^^",
        "  expected: text",
        '  help: put it in quotes: "12"',
      ].join("\n"),
    );
  });

  it("does not stop at the first", async () => {
    const found = await refusals({
      "compose.yaml": "services:\n  web:\n    imgae: x\n    ports: 80\n    tty: [1]\nvolume: {}\n",
    });
    expect(found.map((one) => one.place?.line)).toEqual([3, 4, 5, 6]);
  });

  it("names the way through an include", async () => {
    const text = await errorText({
      "compose.yaml": "services: {a: {image: x}}\ninclude:\n  - sub/compose.yaml\n",
      "sub/compose.yaml": "services:\n  b:\n    image: y\n    bogus: 1\n",
    });
    expect(text).toContain("/project/sub/compose.yaml:4:5: error[unknown-key]");
    expect(text).toContain("  included from /project/compose.yaml:3:5");
  });

  it("names the way through an extended service", async () => {
    const text = await errorText({
      "compose.yaml": "services:\n  a:\n    extends: {file: base.yaml, service: b}\n",
      "base.yaml": "services:\n  b:\n    image: y\n    cpus: [1]\n",
    });
    expect(text).toContain("/project/base.yaml:4:11: error[wrong-type]");
    expect(text).toContain('  extended by service "a", /project/compose.yaml:3:14');
  });

  it("points into the env file, and at who reads it", async () => {
    const text = await errorText({
      "compose.yaml": "services:\n  a:\n    image: x\n    env_file: bad.env\n",
      "bad.env": "A=1\nB C=2\n",
    });
    expect(text).toContain("/project/bad.env:2:1: error[env-file]");
    expect(text).toContain("  read by /project/compose.yaml:4:15");
  });

  it("names a missing variable where it stands", async () => {
    expect(await errorText({ "compose.yaml": "services:\n  a:\n    image: x:${TAG:?set the tag}\n" })).toContain(
      "/project/compose.yaml:3:14: error[required-variable]: required variable TAG is missing a value: set the tag",
    );
  });

  it("refuses remote includes by name", async () => {
    const text = await errorText({
      "compose.yaml": "include:\n  - oci://example.com/app\n  - https://github.com/a/b.git\n",
    });
    expect(text).toContain('"oci://example.com/app" is a remote compose file');
    expect(text).toContain('"https://github.com/a/b.git" is a remote compose file');
  });
});

describe("a warning", () => {
  async function warnings(files: Readonly<Record<string, string>>): Promise<readonly (readonly [string, string])[]> {
    const { diagnostics } = await loadMemory(files);
    return diagnostics.map((one) => [one.code, one.message] as const);
  }

  it("is given for a variable that is not set", async () => {
    expect(await warnings({ "compose.yaml": "services:\n  a:\n    image: x:${TAG}\n" })).toEqual([
      ["unset-variable", 'variable "TAG" is not set; it becomes an empty string'],
    ]);
  });

  it("is given for `version`", async () => {
    expect(await warnings({ "compose.yaml": "version: '3'\nservices: {a: {image: x}}\n" })).toEqual([
      ["deprecated", "`version` is obsolete and has no effect"],
    ]);
  });

  it("is given for YAML 1.1's words for true and false", async () => {
    expect(await warnings({ "compose.yaml": "services: {a: {image: x, tty: yes}}\n" })).toEqual([
      ["yaml-trap", `"yes" is YAML 1.1's word for true`],
    ]);
  });

  it("is given for a number that YAML reads as octal where it is shown in decimal", async () => {
    const found = await warnings({ "compose.yaml": "services: {a: {image: x, environment: {MODE: 0755}}}\n" });
    expect(found).toEqual([["yaml-trap", "YAML reads 0755 as the number 493"]]);
  });

  it("is given for a dollar sign that a .env value loses", async () => {
    const files = { "compose.yaml": "services: {a: {image: x}}\n", ".env": "PASSWORD=pa$word\n" };
    expect(await warnings(files)).toEqual([
      ["dollar-swallowed", '"$word" is read as a variable, which is not set, and becomes empty'],
    ]);
  });

  it("becomes an error under --strict", async () => {
    const found = await refusals({ "compose.yaml": "services:\n  a:\n    image: x:${TAG}\n" }, { strict: true });
    expect(found.map((one) => [one.severity, one.code])).toEqual([["error", "unset-variable"]]);
  });
});
