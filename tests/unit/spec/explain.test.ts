import { describe, expect, it } from "vitest";

import { explainConfig, formatExplanation } from "../../../src/compose/config.ts";
import { memoryFiles, projectOptions } from "../../conformance/compose-spec/support.ts";

async function explain(
  files: Readonly<Record<string, string>>,
  environment: Readonly<Record<string, string>> = {},
  path = "services.web.environment.X",
): Promise<string> {
  const load = { ...projectOptions, environment: { HOME: "/home/me", ...environment } };
  return formatExplanation(await explainConfig({ load, files: memoryFiles(files) }, path));
}

describe("config --explain", () => {
  it("tells that the shell won over .env", async () => {
    const files = {
      "compose.yaml": "services:\n  web:\n    image: x\n    environment:\n      X: ${X}\n",
      ".env": "# first\nX=dotenv\n",
    };
    expect(await explain(files, { X: "shell" })).toBe(
      [
        'services.web.environment.X = "shell"',
        '  from file /project/compose.yaml:5, written "${X}"',
        '    X is "shell" from the shell, over "dotenv" from /project/.env:2',
        "",
      ].join("\n"),
    );
  });

  it("tells that .env answered where the shell was silent", async () => {
    const files = {
      "compose.yaml": "services:\n  web:\n    image: x\n    environment:\n      - X\n",
      ".env": "X=dotenv\n",
    };
    expect(await explain(files)).toBe(
      [
        'services.web.environment.X = "dotenv"',
        '  from .env /project/compose.yaml:5, written "X"',
        '    X is "dotenv" from /project/.env:1',
        "",
      ].join("\n"),
    );
  });

  it("tells that environment won over env_file, and the later env file over the earlier", async () => {
    const files = {
      "compose.yaml":
        "services:\n  web:\n    image: x\n    env_file: [a.env, b.env]\n    environment:\n      X: direct\n",
      "a.env": "X=a\n",
      "b.env": "Y=1\nX=b\n",
    };
    expect(await explain(files)).toBe(
      [
        'services.web.environment.X = "direct"',
        "  from file /project/compose.yaml:6",
        '  over "b" from env_file /project/b.env:2',
        '  over "a" from env_file /project/a.env:1',
        "",
      ].join("\n"),
    );
  });

  it("tells that the override file won", async () => {
    const files = {
      "compose.yaml": "services:\n  web:\n    image: x\n    environment:\n      X: base\n",
      "compose.override.yaml": "services:\n  web:\n    environment:\n      - X=over\n",
    };
    expect(await explain(files)).toBe(
      [
        'services.web.environment.X = "over"',
        "  from override file /project/compose.override.yaml:4",
        '  over "base" from file /project/compose.yaml:5',
        "",
      ].join("\n"),
    );
  });

  it("tells that an included service was answered from its own .env", async () => {
    const files = {
      "compose.yaml": "include: [sub/compose.yaml]\n",
      "sub/compose.yaml": "services:\n  web:\n    image: x\n    environment:\n      X: ${X:-none}\n",
      "sub/.env": "X=sub\n",
    };
    expect(await explain(files)).toBe(
      [
        'services.web.environment.X = "sub"',
        '  from included file /project/sub/compose.yaml:5, written "${X:-none}"',
        '    X is "sub" from /project/sub/.env:1',
        "",
      ].join("\n"),
    );
  });

  it("tells what a service took from another file, and what it put in its place", async () => {
    const files = {
      "compose.yaml":
        "services:\n  web:\n    extends: {file: base.yaml, service: base}\n    environment:\n      Y: own\n",
      "base.yaml": "services:\n  base:\n    image: x\n    environment:\n      X: based\n      Y: theirs\n",
    };
    expect(await explain(files)).toBe(
      ['services.web.environment.X = "based"', "  from extended service in /project/base.yaml:5", ""].join("\n"),
    );
    expect(await explain(files, {}, "services.web.environment.Y")).toBe(
      [
        'services.web.environment.Y = "own"',
        "  from file /project/compose.yaml:5",
        '  over "theirs" from extended service in /project/base.yaml:6',
        "",
      ].join("\n"),
    );
  });

  it("names a default as one", async () => {
    const files = { "compose.yaml": "services:\n  web:\n    build: .\n" };
    expect(await explain(files, {}, "services.web.build.dockerfile")).toContain("from default /project/compose.yaml:3");
  });

  it("finds keys with dots in them", async () => {
    const files = { "compose.yaml": "services:\n  web.one:\n    image: x\n    labels:\n      a.b.c: d\n" };
    expect(await explain(files, {}, "services.web.one.labels.a.b.c")).toContain('= "d"');
  });

  it("says so where there is no such value", async () => {
    const files = { "compose.yaml": "services:\n  web:\n    image: x\n" };
    await expect(explain(files, {}, "services.web.imgae")).rejects.toThrow(
      "the model has no value at services.web.imgae",
    );
  });
});
