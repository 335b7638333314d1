import { readFileSync } from "node:fs";

import { describe, expect, it } from "vitest";

import { comparable, loadMemory, refusals } from "./support.ts";

const read = (name: string): unknown => JSON.parse(readFileSync(new URL(`merges/${name}`, import.meta.url), "utf8"));
const cases = read("cases.json") as Readonly<Record<string, readonly [base: string, override: string]>>;
/** Docker Compose's answers, recorded by record.mjs. */
const expected = read("expected.json") as Readonly<Record<string, unknown>>;

describe("merging an override file", () => {
  for (const [name, [base, override]] of Object.entries(cases)) {
    it(name, async () => {
      const files = { "base.yaml": base, "over.yaml": override };
      const environment = { SET: "yes", HOME: "/nonexistent" };
      const options = {
        environment,
        home: "/nonexistent",
        files: ["base.yaml", "over.yaml"],
        profiles: ["dev"],
        projectName: "m",
      };
      if (expected[name] === "refused") expect(await refusals(files, options)).not.toEqual([]);
      else expect(comparable(await loadMemory(files, options))).toEqual(expected[name]);
    });
  }
});
