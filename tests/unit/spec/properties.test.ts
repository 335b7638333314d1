import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { parse } from "yaml";

import { serviceConfigHash } from "../../../src/spec/config-hash.ts";
import type { LoadResult } from "../../../src/spec/load-options.ts";
import { renderJson, renderYaml } from "../../../src/spec/render.ts";
import type { Rendered } from "../../../src/spec/render.ts";
import { writeYaml } from "../../../src/spec/yaml/write.ts";
import { generateCase } from "../../conformance/compose-spec/generate.ts";
import { loadMemory } from "../../conformance/compose-spec/support.ts";

interface Accepted {
  readonly files: Readonly<Record<string, string>>;
  readonly result: LoadResult;
  readonly environment: Readonly<Record<string, string>>;
}

const accepted: Promise<readonly Accepted[]> = (async () => {
  const found: Accepted[] = [];
  for (let seed = 5000; seed < 5250; seed++) {
    const { files, environment } = generateCase(seed);
    const { "second.yaml": _, ...read } = files;
    const result = await loadMemory(read, { environment, profiles: ["*"] }).catch(() => undefined);
    if (result !== undefined) found.push({ files: read, result, environment });
  }
  return found;
})();

const hashes = ({ project }: LoadResult): readonly string[] => Object.values(project.services).map(serviceConfigHash);

describe("loading", () => {
  it("what was rendered gives the model it was rendered from", async () => {
    const cases = await accepted;
    expect(cases.length).toBeGreaterThan(80);
    for (const { result } of cases) {
      // Docker Compose's own form of ssh keys and of `#extensions` cannot be read back.
      const { project } = result;
      const text = writeYaml(renderYaml(project)).replaceAll("$", "$$$$");
      const again = await loadMemory({ "compose.yaml": text }, { environment: {}, profiles: ["*"] });
      expect(renderJson(again.project), text).toEqual(renderJson(project));
    }
  });

  it("merging with an override that says nothing changes nothing", async () => {
    for (const { files, result, environment } of await accepted) {
      if (Object.keys(files).some((name) => name.includes("override"))) continue;
      const more = { ...files, "compose.override.yaml": "services: {}\n" };
      const again = await loadMemory(more, { environment, profiles: ["*"] });
      expect(renderJson(again.project)).toEqual(renderJson(result.project));
    }
  });

  it("loading twice gives the same hashes", async () => {
    for (const { files, result, environment } of await accepted) {
      expect(hashes(await loadMemory(files, { environment, profiles: ["*"] }))).toEqual(hashes(result));
    }
  });
});

describe("the YAML writer", () => {
  it("writes what the YAML library reads back as it was", () => {
    const text = fc.oneof(
      fc.string(),
      fc.string({
        unit: fc.constantFrom("a", " ", "\n", ":", "#", "-", "'", '"', "0", "\t", "[", "é", "\\", "%", "@", "~"),
      }),
      fc.constantFrom(
        "yes",
        "0x1",
        "1_0",
        "2001-01-01",
        "~",
        "null",
        "1e3",
        "12:30",
        "- a",
        "a: b",
        "a #b",
        "|",
        "<<",
        ".5",
        "+1",
      ),
    );
    const { value } = fc.letrec<{ value: Rendered }>((tie) => ({
      value: fc.oneof(
        { maxDepth: 4 },
        text,
        fc.integer(),
        fc.boolean(),
        fc.constant(null),
        fc.array(tie("value"), { maxLength: 4 }),
        fc.dictionary(text, tie("value"), { maxKeys: 4 }),
      ),
    }));
    fc.assert(
      fc.property(fc.dictionary(text, value, { minKeys: 1, maxKeys: 4 }), (data) => {
        const { __proto__: _, ...plain } = data;
        expect(parse(writeYaml(plain), { maxAliasCount: 0 })).toEqual(JSON.parse(JSON.stringify(plain)));
      }),
      { seed: 11, numRuns: 500 },
    );
  });
});
