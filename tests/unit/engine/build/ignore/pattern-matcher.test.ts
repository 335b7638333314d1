import { describe, expect, it } from "vitest";
import { goMatch } from "../../../../../src/engine/build/ignore/go-match.ts";
import { readIgnoreFile } from "../../../../../src/engine/build/ignore/ignore-file.ts";
import { createPatternMatcher } from "../../../../../src/engine/build/ignore/pattern-matcher.ts";

describe(".dockerignore text", () => {
  it("drops comments and blank lines, cleans paths, makes them relative", () => {
    expect(readIgnoreFile("\ufeff# no\n\n /a/b/ \n!./c/../d\n  # kept\n!/x\r\n")).toEqual([
      "a/b",
      "!d",
      "# kept",
      "!x",
    ]);
  });
});

describe("B-03 what an ignore pattern matches", () => {
  it.each<[readonly string[], string, boolean]>([
    [["a"], "a", true],
    [["a"], "a/b/c", true],
    [["a"], "b/a", false],
    [["*"], "a/b", true],
    [["*.md"], "x.md", true],
    [["*.md"], "d/x.md", false],
    [["**/*.md"], "x.md", true],
    [["**/*.md"], "d/e/x.md", true],
    [["**/node_modules"], "a/node_modules/b", true],
    [["a/**"], "a/b/c", true],
    [["a/**/z"], "a/z", true],
    [["a/**/z"], "a/b/c/z", true],
    [["*", "!keep"], "keep", false],
    [["*", "!keep"], "other", true],
    [["dir", "!dir/keep"], "dir/keep", false],
    [["dir", "!dir/keep", "dir/keep/no"], "dir/keep/no", true],
    [["a?c"], "abc", true],
    [["a?c"], "a/c", false],
    [["[a-c]x"], "bx", true],
    [["[^a-c]x"], "bx", false],
    [["a\\*"], "a*", true],
    [["a\\*"], "ab", false],
    [["a.b"], "axb", false],
    [["(a|b)"], "(a|b)", true],
  ])("%j on %s: %s", (patterns, path, wanted) => {
    const matcher = createPatternMatcher(patterns);
    expect(matcher.matches(path)).toBe(wanted);
    let state: readonly boolean[] | undefined;
    let matched = false;
    const parts = path.split("/");
    for (const index of parts.keys()) {
      const step = matcher.matchesBelow(parts.slice(0, index + 1).join("/"), state);
      state = step.state;
      matched = step.matched;
    }
    expect(matched).toBe(wanted);
  });

  it("a malformed pattern is an error that says how to write it", () => {
    expect(() => createPatternMatcher(["["])).toThrow('syntax error in pattern "["');
    expect(() => createPatternMatcher(["!"])).toThrow("illegal exclusion pattern");
  });

  it("a pattern of many stars takes linear time", () => {
    const matcher = createPatternMatcher([`${"*a".repeat(60)}b?`]);
    expect(matcher.matches("a".repeat(3000))).toBe(false);
  });
});

describe("wildcards of COPY sources", () => {
  it.each<[string, string, boolean | undefined]>([
    ["*.txt", "a.txt", true],
    ["*.txt", "d/a.txt", false],
    ["a*/b", "abc/b", true],
    ["a*b*c", "aXbXbYc", true],
    ["[a-c]", "b", true],
    ["[^a-c]", "b", false],
    ["a\\[b", "a[b", true],
    ["?", "é", true],
    ["[", "a", undefined],
  ])("%s on %s: %s", (pattern, name, wanted) => {
    expect(goMatch(pattern, name)).toBe(wanted);
  });
});
