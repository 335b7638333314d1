import { describe, expect, it } from "vitest";
import { expandWord, lookupIn } from "../../../../../src/engine/build/dockerfile/shell-lexer.ts";

const lookup = lookupIn(["A=1", "EMPTY=", "PATHS=a/b/c.tar.gz", "TEXT=one two"]);

function expand(word: string): string {
  return expandWord(word, { escape: "\\" }, lookup).result;
}

describe("variables in words", () => {
  it.each([
    ["$A", "1"],
    ["${A}x", "1x"],
    ["$A$A", "11"],
    ["$NONE", ""],
    ["${NONE:-d}", "d"],
    ["${EMPTY:-d}", "d"],
    ["${EMPTY-d}", ""],
    ["${A:+set}", "set"],
    ["${NONE:-${A}}", "1"],
    ["${PATHS#*/}", "b/c.tar.gz"],
    ["${PATHS##*/}", "c.tar.gz"],
    ["${PATHS%.*}", "a/b/c.tar"],
    ["${PATHS%%.*}", "a/b/c"],
    ["${PATHS/\\//-}", "a-b/c.tar.gz"],
    ["${PATHS//\\//-}", "a-b-c.tar.gz"],
    ["'$A'", "$A"],
    ['"$A"', "1"],
    ["\\$A", "$A"],
  ])("%s gives %s", (word, wanted) => {
    expect(expand(word)).toBe(wanted);
  });

  it("an error names the word and what is wrong with it", () => {
    expect(() => expand("${NONE:?say it}")).toThrow('failed to process "${NONE:?say it}": NONE: say it');
    expect(() => expand('"open')).toThrow("looking for matching double-quote");
  });

  it("blanks of a value split words, quoted blanks do not", () => {
    expect(expandWord("$TEXT", { escape: "\\" }, lookup).words).toEqual(["one", "two"]);
    expect(expandWord('"$TEXT"', { escape: "\\" }, lookup).words).toEqual(["one two"]);
  });

  it("names without a value are told, so that a check can warn", () => {
    expect(expandWord("$NONE $A", { escape: "\\" }, lookup)).toMatchObject({ matched: ["A"], unmatched: ["NONE"] });
  });

  it("a pattern made to backtrack ends in an error rather than a hang", () => {
    const value = "a".repeat(20_000);
    const pattern = "*a".repeat(200);
    expect(() => expandWord(`\${V##${pattern}b}`, { escape: "\\" }, () => value)).toThrow("takes too long");
  });

  it("substitutions nested without end are refused", () => {
    expect(() => expand("${X:-".repeat(5000))).toThrow("nested too deeply");
  });
});
