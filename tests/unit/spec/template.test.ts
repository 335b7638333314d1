import fc from "fast-check";
import { describe, expect, it } from "vitest";

import { TemplateError, extractVariables, substitute } from "../../../src/spec/template.ts";

const values: Readonly<Record<string, string>> = { A: "a", EMPTY: "", B: "b" };

function fill(template: string): string {
  return substitute(template, { lookup: (name) => values[name], onUnset: () => undefined });
}

describe("interpolation", () => {
  it.each([
    ["$A and ${A}", "a and a"],
    ["$UNSET|${UNSET}|", "||"],
    ["${UNSET:-d} ${EMPTY:-d} ${EMPTY-d} ${UNSET-d}", "d d  d"],
    ["${A:+r} ${EMPTY:+r} ${EMPTY+r} ${UNSET+r}", "r  r "],
    ["${UNSET:-${EMPTY:-${B}}}", "b"],
    ["$$A $${A} $$$A", "$A ${A} $a"],
    ["$1 $ 100$ $-", "$1 $ 100$ $-"],
    ["${UNSET:-{}}", "{}"],
    ["${UNSET:-a}}", "a}"],
    ["${UNSET-b:?c}", "b:?c"],
    ["${A}${B}${UNSET:-x}-${B:-y}", "abx-b"],
    ["${UNSET:-a b}c ${B}", "a bc b"],
  ])("%s becomes %s", (template, expected) => {
    expect(fill(template)).toBe(expected);
  });

  it.each(["${", "${}", "${ A}", "${1}", "${A!b}", "${A", "${UNSET:-\n}"])("%j is refused", (template) => {
    expect(() => fill(template)).toThrow(TemplateError);
  });

  it.each([
    ["${UNSET:?why}", "why"],
    ["${EMPTY:?}", ""],
    ["${UNSET?not ${A}}", "not a"],
  ])("%s demands a value", (template, reason) => {
    try {
      fill(template);
      expect.unreachable();
    } catch (error) {
      expect((error as TemplateError).problem).toMatchObject({ kind: "required", reason });
    }
  });

  it("tells of every variable without a value", () => {
    const unset: string[] = [];
    substitute("$X ${Y} ${Z:-z} $A", { lookup: (name) => values[name], onUnset: (name) => void unset.push(name) });
    expect(unset).toEqual(["X", "Y"]);
  });

  it("leaves text without a dollar sign alone, and either fills or refuses any other", () => {
    fc.assert(
      fc.property(fc.array(fc.constantFrom("$", "{", "}", "A", ":", "-", "?", "+", " ", "x", "\n")), (pieces) => {
        const text = pieces.join("");
        try {
          const filled = fill(text);
          if (!text.includes("$")) expect(filled).toBe(text);
        } catch (error) {
          expect(error).toBeInstanceOf(TemplateError);
        }
      }),
      { seed: 3 },
    );
  });

  it("doubling dollar signs protects any text", () => {
    fc.assert(
      fc.property(fc.string(), (text) => {
        expect(fill(text.replaceAll("$", "$$$$"))).toBe(text);
      }),
      { seed: 4 },
    );
  });

  it("lists variables with their defaults, those inside defaults too", () => {
    expect(extractVariables("${A:-x${B}} ${C:?} ${D:+set} $E $$F")).toEqual([
      { name: "A", defaultValue: "x${B}", presenceValue: "", required: false },
      { name: "B", defaultValue: "", presenceValue: "", required: false },
      { name: "C", defaultValue: "", presenceValue: "", required: true },
      { name: "D", defaultValue: "", presenceValue: "set", required: false },
      { name: "E", defaultValue: "", presenceValue: "", required: false },
    ]);
  });
});
