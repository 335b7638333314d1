import { readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

import { describe, expect, it } from "vitest";
import { parse, stringify } from "yaml";

import type { FileSource } from "../../../src/spec/file-source.ts";
import type { LoadResult } from "../../../src/spec/load-options.ts";
import { loadProject } from "../../../src/spec/load-project.ts";
import { renderJson, renderYaml } from "../../../src/spec/render.ts";
import { schemaNodes } from "../../../src/spec/schema/nodes.ts";
import { writeYaml } from "../../../src/spec/yaml/write.ts";
import { disk, sortKeys } from "./support.ts";

/** Together these files say every key of the schema. What Docker Compose makes of them is recorded beside them (record.mjs). */
const documents = ["service", "build", "deploy", "develop-hooks", "resources"];
const directory = fileURLToPath(new URL("attributes", import.meta.url));

/** Keys that leave no trace in the model, each for the reason given. */
const traceless: Readonly<Record<string, string>> = {
  version: "dropped when the file is read",
  "services.*.pull_refresh_after": "Docker Compose has no field for it",
};

async function load(file: string, text?: string): Promise<LoadResult> {
  const path = join(directory, `${file}.yaml`);
  const read = (name: string, max: number): Uint8Array | undefined =>
    name === path && text !== undefined ? new TextEncoder().encode(text) : disk.read(name, max);
  const files: FileSource = { ...disk, read };
  const environment = { PATH: "/usr/bin:/bin", HOME: "/nonexistent", SET: "yes" };
  return loadProject({ cwd: directory, environment, home: "/nonexistent", files: [path], profiles: ["dev"] }, files);
}

function portable(value: unknown): unknown {
  return sortKeys(JSON.parse(JSON.stringify(value).replaceAll(directory, "$ROOT")));
}

describe("files that say everything", () => {
  for (const name of documents) {
    const recorded = JSON.parse(readFileSync(join(directory, `${name}.expected.json`), "utf8")) as Record<
      string,
      unknown
    >;

    it(`${name}.yaml gives the JSON that Docker Compose prints`, async () => {
      const { project } = await load(name);
      expect(portable(renderJson(project))).toEqual(recorded["json"]);
    });

    it(`${name}.yaml gives the YAML that Docker Compose prints`, async () => {
      const { project } = await load(name);
      expect(portable(parse(writeYaml(renderYaml(project))))).toEqual(recorded["yaml"]);
    });
  }
});

type Tree = Record<string, unknown>;

/** The first place in the documents where the schema node is said, as keys from the root. */
function findNode(node: string): { document: string; path: readonly string[] } | undefined {
  const steps = node.replaceAll("[]", ".[]").split(".");
  for (const document of documents) {
    const tree: unknown = parse(readFileSync(join(directory, `${document}.yaml`), "utf8"));
    const path = search(tree, steps);
    if (path !== undefined) return { document, path };
  }
  return undefined;
}

function search(value: unknown, steps: readonly string[]): readonly string[] | undefined {
  const [step, ...rest] = steps;
  if (step === undefined) return [];
  if (typeof value !== "object" || value === null || (step === "[]") !== Array.isArray(value)) return undefined;
  const keys = step === "*" || step === "[]" ? Object.keys(value) : [step];
  for (const key of keys) {
    if (!Object.hasOwn(value, key)) continue;
    const found = search((value as Tree)[key], rest);
    if (found !== undefined) return [key, ...found];
  }
  return undefined;
}

async function modelWithout(document: string, path: readonly string[]): Promise<unknown> {
  const tree = parse(readFileSync(join(directory, `${document}.yaml`), "utf8")) as Tree;
  let parent: Tree = tree;
  // Nothing is taken out for the empty path: the model of the same text, written the same way.
  for (const key of path.slice(0, -1)) parent = parent[key] as Tree;
  delete parent[path.at(-1) ?? ""];
  try {
    return portable(renderYaml((await load(document, stringify(tree))).project));
  } catch {
    return "refused";
  }
}

describe("every node of the schema", () => {
  const whole = new Map<string, Promise<unknown>>();
  const modelOf = (document: string): Promise<unknown> => {
    const known = whole.get(document) ?? modelWithout(document, []);
    whole.set(document, known);
    return known;
  };

  it("is one of 394", () => {
    expect(schemaNodes()).toHaveLength(394);
  });

  for (const node of schemaNodes()) {
    const reason = traceless[node];
    it(`${node} ${reason === undefined ? "makes a difference to the model" : `is accepted: ${reason}`}`, async () => {
      const found = findNode(node);
      if (found === undefined) throw new Error("no document says this key");
      const without = await modelWithout(found.document, found.path);
      if (reason === undefined) expect(without).not.toEqual(await modelOf(found.document));
      else expect(without).toEqual(await modelOf(found.document));
    });
  }
});
