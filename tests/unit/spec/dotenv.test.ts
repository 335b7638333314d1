import { describe, expect, it } from "vitest";

import { parseDotenv, parseRawEnv } from "../../../src/spec/dotenv.ts";

const shell: Readonly<Record<string, string>> = { SHELL_VAR: "shell", BARE: "from shell" };

function read(text: string, parse = parseDotenv): Record<string, string> | string {
  const values = new Map<string, string>();
  const problem = parse(text, { values, lookup: (name) => shell[name] });
  return problem === undefined ? Object.fromEntries(values) : `line ${String(problem.line)}: ${problem.message}`;
}

describe(".env", () => {
  it.each([
    ["A=1\nB = two words \n", { A: "1", B: "two words" }],
    ["\ufeffA=1\r\nB=2\r\n", { A: "1", B: "2" }],
    ["# c\n  # d\n\nA=1 # e\nB=1#f\n", { A: "1", B: "1#f" }],
    ["export A=1\nexport  B=2\nexported=3\n", { A: "1", B: "2", exported: "3" }],
    ["A: yaml\n", { A: "yaml" }],
    ["A='single ${X} \\' quote'\n", { A: "single ${X} ' quote" }],
    ['A="a\\tb\\n\\$x \\x41 \\0101"\n', { A: "a\tb\n$x \\x41 A" }],
    ['A="two\nlines"\nB=1\n', { A: "two\nlines", B: "1" }],
    ["A=x\nB=${A}y${SHELL_VAR}\nC=$$A\n", { A: "x", B: "xyshell", C: "$A" }],
    ["SHELL_VAR=file\nB=$SHELL_VAR\n", { SHELL_VAR: "file", B: "shell" }],
    ["BARE\nNOT_SET\nA=1\n", { BARE: "from shell", A: "1" }],
    ["A=\nB=''\n", { A: "", B: "" }],
    ["a.b-c[0]=1\nÄ=2\n", { "a.b-c[0]": "1", Ä: "2" }],
    ["A='x' # after\nB=2\n", { A: "x", B: "2" }],
    ["A=b=c\n", { A: "b=c" }],
    ["", {}],
  ])("%j", (text, expected) => {
    expect(read(text)).toEqual(expected);
  });

  it.each([
    ["A=1\nB C=2\n", 'line 2: variable name "B C" contains a space'],
    ["A=1\n\nB!=2\n", 'line 3: unexpected character "!" in variable name "B!=2"'],
    ['A=1\nB="open\n', 'line 2: unterminated quoted value "open'],
    ["A=${\n", "line 1: not a valid variable in ${"],
    ["A=${B:?why}\n", "line 1: required variable B is missing a value: why"],
  ])("%j is refused with its line", (text, expected) => {
    expect(read(text)).toBe(expected);
  });
});

describe("env_file with format raw", () => {
  it("keeps values as they stand", () => {
    expect(read("A='q' # c\n B=x=y \nBARE\nUNSET\n# no\n\nC=$A\n", parseRawEnv)).toEqual({
      A: "'q' # c",
      B: "x=y ",
      BARE: "from shell",
      C: "$A",
    });
  });
});
