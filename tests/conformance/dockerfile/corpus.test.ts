/** Our Dockerfile front end against the answers of BuildKit's own parser and shell lexer. */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { expandWord, lookupIn } from "../../../src/engine/build/dockerfile/shell-lexer.ts";
import { errorMessage } from "../../../src/errors.ts";
import { corpusFolder } from "./corpus-folder.ts";
import { oracleForm } from "./oracle-form.ts";
import type { OracleForm } from "./oracle-form.ts";

const folder = corpusFolder();
const reason = folder === undefined ? " (not run: no corpus; set TSCOMPOSE_SHARED)" : "";

function caseNames(): readonly string[] {
  if (folder === undefined) return [];
  return readdirSync(folder, { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map((entry) => entry.name);
}

interface Word {
  readonly word: string;
  readonly env: readonly string[];
  readonly result?: string;
  readonly words?: readonly string[] | null;
  readonly unmatched?: readonly string[];
  readonly error?: string;
}

function words(): readonly Word[] {
  if (folder === undefined) return [];
  const lines = readFileSync(join(folder, "words.jsonl"), "utf8").split("\n");
  return lines.filter((line) => line !== "").map((line) => JSON.parse(line) as Word);
}

function expanded(word: Word): Omit<Word, "word" | "env"> {
  try {
    const { result, words: list, unmatched } = expandWord(word.word, { escape: "\\" }, lookupIn(word.env));
    return { result, words: list, ...(unmatched.length === 0 ? {} : { unmatched: unmatched.toSorted() }) };
  } catch (error) {
    return { error: errorMessage(error) };
  }
}

describe.skipIf(folder === undefined)(`Dockerfiles as BuildKit reads them${reason}`, () => {
  const names = caseNames();

  it("the corpus has its 300 cases", () => {
    expect(names.length).toBeGreaterThanOrEqual(300);
  });

  it.each(names)("%s", (name) => {
    const bytes = readFileSync(join(folder ?? "", name, "Dockerfile"));
    const oracle = JSON.parse(readFileSync(join(folder ?? "", name, "oracle.json"), "utf8")) as OracleForm;
    const ours = oracleForm(bytes.toString("utf8"));
    const { ok, error, phase, line, endLine, metaArgs, stages } = oracle;
    const wanted = { ok, error, phase, line, endLine, metaArgs, stages };
    expect(ours).toEqual(JSON.parse(JSON.stringify(wanted)));
  });
});

describe.skipIf(folder === undefined)(`words as BuildKit's shell lexer expands them${reason}`, () => {
  const list = words();

  it("the corpus has its 208 words", () => {
    expect(list.length).toBeGreaterThanOrEqual(208);
  });

  it.each(list)("$word", (word) => {
    const { result, words: pieces, unmatched, error } = word;
    // Go writes an empty list as null.
    const wanted = { result, words: pieces === null ? [] : pieces, unmatched, error };
    expect(expanded(word)).toEqual(JSON.parse(JSON.stringify(wanted)));
  });
});
