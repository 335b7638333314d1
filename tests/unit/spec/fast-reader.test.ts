import { existsSync, readFileSync, readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

import fc from "fast-check";
import { describe, expect, it } from "vitest";
import * as library from "yaml";

import { Report } from "../../../src/spec/report.ts";
import { createSourceFile } from "../../../src/spec/source.ts";
import { toPlain } from "../../../src/spec/tree.ts";
import type { Node } from "../../../src/spec/tree.ts";
import { readFast } from "../../../src/spec/yaml/fast-reader.ts";
import { readWithLibrary } from "../../../src/spec/yaml/library-reader.ts";
import { generateCase } from "../../conformance/compose-spec/generate.ts";

/** Values and places of both readers; undefined where the fast one declined. */
function both(text: string): { fast: unknown; slow: unknown } | undefined {
  const file = createSourceFile("f", text, "file");
  const fast = readFast(file, 50_000);
  if (fast === undefined) return undefined;
  const slow = readWithLibrary(library, file, new Report());
  return { fast: fast.map(describeNode), slow: slow?.map(describeNode) };
}

function describeNode(node: Node): unknown {
  return { value: toPlain(node), starts: starts(node) };
}

/** Where each value begins (ends of block scalars are a matter of taste); a value that is not there has no place worth comparing. */
function starts(node: Node): unknown {
  if (node.kind === "seq") return [node.start, node.items.map(starts)];
  if (node.kind === "map") {
    return [
      node.start,
      [...node.entries].map(([key, entry]) => [key, entry.keyStart, entry.keyEnd, starts(entry.value)]),
    ];
  }
  return node.value === null ? null : node.start;
}

const corpus = join(
  process.env["TSCOMPOSE_SHARED"] ?? fileURLToPath(new URL("../../../../shared", import.meta.url)),
  "corpus",
);

describe("the fast YAML reader", () => {
  it("reads generated compose files as the library does", () => {
    let read = 0;
    for (let seed = 1; seed <= 400; seed++) {
      for (const text of Object.values(generateCase(seed).files)) {
        const result = both(text);
        if (result === undefined) continue;
        read++;
        expect(result.fast, text).toEqual(result.slow);
      }
    }
    expect(read).toBeGreaterThan(300);
  });

  it.skipIf(!existsSync(corpus))("reads most files of the corpus itself, and those as the library does", () => {
    let all = 0;
    let read = 0;
    for (const name of readdirSync(corpus, { recursive: true, encoding: "utf8" })) {
      if (!/\.ya?ml$/.test(name) || !statSync(join(corpus, name)).isFile()) continue;
      all++;
      const result = both(readFileSync(join(corpus, name), "utf8"));
      if (result === undefined) continue;
      read++;
      expect(result.fast, name).toEqual(result.slow);
    }
    expect(read / all).toBeGreaterThan(0.8);
  });

  it("never reads arbitrary text otherwise than the library", () => {
    const piece = fc.constantFrom(
      ..."abc:-#'\"[]{},&*!|>?%@` \n".split(""),
      "a: b\n",
      "- c\n",
      "  ",
      "\n  - ",
      "key:\n",
      "'q'",
      '"q"',
      "|\n  x\n",
      ">\n  y\n",
      "&a ",
      "*a",
      "# c\n",
      "---\n",
      "~",
      "1",
      "<<: ",
    );
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 25 }), (pieces) => {
        const result = both(pieces.join(""));
        if (result !== undefined) expect(result.fast).toEqual(result.slow);
      }),
      { numRuns: Number(process.env["TSCOMPOSE_FUZZ"] ?? "3000"), seed: 7 },
    );
  });
});
