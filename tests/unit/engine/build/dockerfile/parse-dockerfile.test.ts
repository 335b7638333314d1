import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { isTscomposeError } from "../../../../../src/errors.ts";
import { detectSyntax, readDirectives } from "../../../../../src/engine/build/dockerfile/directives.ts";
import { parseDockerfile } from "../../../../../src/engine/build/dockerfile/parse-dockerfile.ts";
import { placeOf } from "../../../../../src/engine/build/dockerfile/problem.ts";
import { parseRunMount } from "../../../../../src/engine/build/dockerfile/run-mount.ts";

function failure(text: string): { readonly message: string; readonly line: number | undefined } {
  try {
    parseDockerfile(text);
  } catch (error) {
    if (isTscomposeError(error)) return { message: error.message, line: placeOf(error)?.line };
    throw error;
  }
  throw new Error("parsed");
}

describe("Dockerfile text to stages", () => {
  it("a stage begins at each FROM, and ARGs before the first stand apart", () => {
    const { metaArgs, stages } = parseDockerfile('ARG V=1\nFROM a:$V AS One\nRUN x\nFROM one\nCMD ["y"]\n');
    expect(metaArgs.map(({ args }) => args[0])).toEqual([{ key: "V", value: "1", doc: "" }]);
    expect(stages.map(({ base, name, instructions }) => [base, name, instructions.map(({ kind }) => kind)])).toEqual([
      ["a:$V", "one", ["run"]],
      ["one", "", ["cmd"]],
    ]);
  });

  it("continuation lines are one instruction, comments between them are dropped", () => {
    const [stage] = parseDockerfile("FROM a\nRUN x && \\\n# why\n  y\n").stages;
    expect(stage?.instructions[0]).toMatchObject({ start: 2, end: 4, command: { words: ["x &&   y"], shell: true } });
  });

  it("heredocs belong to their instruction and are counted in its lines", () => {
    const [stage] = parseDockerfile("FROM a\nCOPY <<-E <<'F' /d/\n\tone $A\n\tE\ntwo\nF\n").stages;
    expect(stage?.instructions[0]).toMatchObject({
      start: 2,
      end: 6,
      contents: [
        { path: "E", content: "one $A\n", expand: true },
        { path: "F", content: "two\n", expand: false },
      ],
    });
  });

  it("the escape directive changes what continues a line", () => {
    const [stage] = parseDockerfile("# escape=`\nFROM a\nRUN c:\\x `\n y\n").stages;
    expect(stage?.instructions[0]).toMatchObject({ start: 3, end: 4, command: { words: ["c:\\x  y"] } });
  });

  it("errors carry the line and say what was near", () => {
    expect(failure("FROM a\nRUNN x\n")).toEqual({
      message: "dockerfile parse error on line 2: unknown instruction: RUNN (did you mean RUN?)",
      line: 2,
    });
    expect(failure("FROM a\nCOPY --form=b c d\n").message).toContain("unknown flag: --form (did you mean from?)");
    expect(failure("FROM a\nRUN <<E\nx\n")).toEqual({ message: "unterminated heredoc", line: 2 });
  });

  it("a line beyond 65535 bytes is refused", () => {
    expect(failure(`FROM a\nRUN ${"x".repeat(65_532)}\n`).message).toContain("greater than max allowed size");
    expect(parseDockerfile(`FROM a\nRUN ${"x".repeat(65_531)}\n`).stages).toHaveLength(1);
  });

  it("no text makes it fail with anything but its own error", () => {
    const piece = fc.oneof(
      fc.constantFrom(
        "FROM ",
        "RUN ",
        "COPY ",
        "<<E",
        "E",
        "\n",
        "\\\n",
        '"',
        "'",
        "[",
        "]",
        "--mount=",
        "$",
        "${",
        "}",
        "#",
      ),
      fc.string({ maxLength: 4 }),
    );
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 30 }), (pieces) => {
        try {
          parseDockerfile(`FROM a\n${pieces.join("")}`);
        } catch (error) {
          expect(placeOf(error)).toBeDefined();
        }
      }),
      { numRuns: 500 },
    );
  });
});

describe("directives", () => {
  it("only the first lines count, and only known names", () => {
    expect(readDirectives("# escape=`\n# syntax = x/y:1 z\n# nope=1\n# check=skip=all\n")).toEqual([
      { name: "escape", value: "`", line: 1 },
      { name: "syntax", value: "x/y:1 z", line: 2 },
    ]);
  });

  it("the front end image may be named in three forms", () => {
    expect(detectSyntax("# syntax=a/b:1 args\nFROM x")).toBe("a/b:1");
    expect(detectSyntax("#!/usr/bin/env x\n// syntax=a/b\n")).toBe("a/b");
    expect(detectSyntax('{"syntax": "a/c"}')).toBe("a/c");
    expect(detectSyntax("FROM x\n# syntax=a/b\n")).toBeUndefined();
  });
});

describe("RUN --mount", () => {
  const same = (value: string): string => value;

  it("is read-only unless it is a cache or a tmpfs", () => {
    expect(parseRunMount("target=/a", same)).toMatchObject({ type: "bind", readonly: true });
    expect(parseRunMount("type=cache,target=/a", same)).toMatchObject({ readonly: false });
    expect(parseRunMount("type=bind,rw,target=/a", same)).toMatchObject({ readonly: false });
  });

  it("variables are replaced in values", () => {
    expect(parseRunMount("type=cache,id=$X,target=/a", (value) => value.replace("$X", "one")).id).toBe("one");
  });

  it.each([
    ["type=cach", 'unsupported mount type "cach" (did you mean cache?)'],
    ["type=secret", "invalid secret mount. one of source, target required"],
    ["type=bind,mode=0700", 'mode not allowed for "bind" type mounts'],
    ["type=bind,tagret=/x", "unexpected key 'tagret' in 'tagret=/x' (did you mean target?)"],
    ['target="/x', "failed to parse csv mounts"],
  ])("%s is refused", (text, message) => {
    expect(() => parseRunMount(text, same)).toThrow(message);
  });
});
