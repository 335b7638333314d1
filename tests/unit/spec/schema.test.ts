import { readFileSync } from "node:fs";

import { Ajv2020 } from "ajv/dist/2020.js";
import { describe, expect, it } from "vitest";
import { parse } from "yaml";

import { generatedFiles, toJsonSchema } from "../../../src/spec/schema/to-json-schema.ts";
import { composeFile } from "../../../src/spec/schema/project.ts";
import { schemaNodes } from "../../../src/spec/schema/nodes.ts";
import { supportOf, supportRows } from "../../../src/spec/support.ts";
import { generateCase } from "../../conformance/compose-spec/generate.ts";
import { refusals } from "../../conformance/compose-spec/support.ts";

const repository = new URL("../../../", import.meta.url);
const read = (path: string): string => readFileSync(new URL(path, repository), "utf8");
const ajv = new Ajv2020({ strict: false, allErrors: true });
const validate = ajv.compile(JSON.parse(read("compose-schema.json")) as object);

describe("compose-schema.json", () => {
  it("is what the zod schema says, and so is the validator's copy", () => {
    for (const [path, text] of Object.entries(generatedFiles())) {
      expect(read(path), `${path}: run scripts/generate-schema.mjs`).toBe(text);
    }
  });

  it("flags a typo at the key where the loader flags it", async () => {
    const text = "services:\n  web:\n    image: x\n    healthcheck:\n      tset: [CMD, 'true']\n";
    expect(validate(parse(text))).toBe(false);
    const flagged = validate.errors?.find((one) => one.keyword === "additionalProperties");
    const path = [...(flagged?.instancePath.split("/").slice(1) ?? []), String(flagged?.params["additionalProperty"])];
    const [ours] = await refusals({ "compose.yaml": text });
    expect(path).toEqual(["services", "web", "healthcheck", "tset"]);
    expect(ours?.path).toEqual(path);
  });

  it("flags a wrong type at the value where the loader flags it", async () => {
    const text = "services:\n  web:\n    image: x\n    ports: 80\n";
    expect(validate(parse(text))).toBe(false);
    const [ours] = await refusals({ "compose.yaml": text });
    expect(validate.errors?.map((one) => one.instancePath)).toContain("/services/web/ports");
    expect(ours?.path).toEqual(["services", "web", "ports"]);
  });

  it("accepts and refuses what the zod schema accepts and refuses", () => {
    const verdicts = { both: 0, neither: 0 };
    for (let seed = 1; seed <= 250; seed++) {
      const text = generateCase(seed).files["compose.yaml"] ?? "";
      if (/!reset|!override|\n---\n/.test(text)) continue;
      const value: unknown = parse(text, { merge: true });
      const valid = validate(value);
      expect(composeFile.safeParse(value).success, text).toBe(valid);
      if (valid) verdicts.both++;
      else verdicts.neither++;
    }
    expect(verdicts.both).toBeGreaterThan(50);
    expect(verdicts.neither).toBeGreaterThan(3);
  });

  it("does not depend on when it is made", () => {
    expect(toJsonSchema()).toEqual(toJsonSchema());
  });
});

describe("the table of what is honoured", () => {
  it("has a mark for every node of the schema", () => {
    const unmarked = schemaNodes().filter((node) => supportOf(node.replaceAll("[]", ".*").split(".")) === undefined);
    expect(unmarked).toEqual([]);
  });

  it("has a row of its own for every key of a service", () => {
    const keys = schemaNodes().filter((node) => /^services\.\*\.[a-z_]+$/.test(node));
    const rows = new Set(supportRows.map(([pattern]) => pattern));
    expect(keys).toHaveLength(93);
    expect(keys.filter((key) => !rows.has(key))).toEqual([]);
  });

  it("has no row for a key that does not exist", () => {
    const nodes = new Set(schemaNodes().map((node) => node.replaceAll("[]", ".*")));
    expect(supportRows.map(([pattern]) => pattern).filter((pattern) => !nodes.has(pattern))).toEqual([]);
  });
});
