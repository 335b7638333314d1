import { cpSync, existsSync, mkdtempSync, readFileSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

import { afterAll, describe, expect, it } from "vitest";

import { serviceConfigHash } from "../../../src/spec/config-hash.ts";
import type { LoadResult } from "../../../src/spec/load-options.ts";
import { loadProject } from "../../../src/spec/load-project.ts";
import { comparable, diagnosticsOf, disk } from "./support.ts";

interface CorpusCase {
  readonly root: string;
  readonly cwd: string;
  readonly args: readonly string[];
  readonly exit: number;
  readonly error?: string;
  readonly hash?: Readonly<Record<string, string>>;
}

const shared = process.env["TSCOMPOSE_SHARED"] ?? fileURLToPath(new URL("../../../../shared", import.meta.url));
const corpus = join(shared, "corpus");
const names = existsSync(corpus)
  ? readdirSync(corpus).filter((name) => existsSync(join(corpus, name, "case.json")))
  : [];
const work = mkdtempSync(join(tmpdir(), "tscompose-corpus-"));

afterAll(() => {
  rmSync(work, { recursive: true, force: true });
});

function readArgs(args: readonly string[]): { files: string[]; profiles: string[]; envFiles: string[] } {
  const read = { files: [] as string[], profiles: [] as string[], envFiles: [] as string[] };
  for (let index = 0; index < args.length; index += 2) {
    const value = args[index + 1] ?? "";
    if (args[index] === "-f") read.files.push(value);
    else if (args[index] === "--profile") read.profiles.push(value);
    else if (args[index] === "--env-file") read.envFiles.push(value);
    else throw new Error(`the corpus uses ${args[index] ?? ""}, which this test does not know`);
  }
  return read;
}

async function load(name: string, given: CorpusCase): Promise<{ result: LoadResult; root: string }> {
  const root = join(work, name, given.root);
  cpSync(join(corpus, name, "files"), root, { recursive: true });
  const environment = { PATH: "/usr/bin:/bin", HOME: "/nonexistent" };
  const options = { cwd: join(root, given.cwd), environment, home: "/nonexistent", ...readArgs(given.args) };
  return { result: await loadProject(options, disk), root };
}

describe.skipIf(names.length === 0)(
  names.length === 0 ? "corpus of compose files (not run: no corpus beside the repository)" : "corpus of compose files",
  () => {
    it("is there in full", () => {
      expect(names).toHaveLength(401);
    });

    for (const name of names) {
      const given = JSON.parse(readFileSync(join(corpus, name, "case.json"), "utf8")) as CorpusCase;
      if (given.exit !== 0) {
        it(`${name} is refused, as Docker Compose refuses it`, async () => {
          const error: unknown = await load(name, given).catch((caught: unknown) => caught);
          // The one that Docker Compose loads and cannot print.
          if (given.error?.startsWith("json:") === true && !(error instanceof Error)) {
            expect(() => comparable((error as { result: LoadResult }).result)).toThrow(RangeError);
          } else expect(diagnosticsOf(error).filter((one) => one.severity === "error")).not.toEqual([]);
        });
        continue;
      }
      it(`${name} gives Docker Compose's model and hashes`, async () => {
        const { result, root } = await load(name, given);
        const model = JSON.parse(JSON.stringify(comparable(result)).replaceAll(root, "$ROOT")) as unknown;
        expect(model).toEqual(JSON.parse(readFileSync(join(corpus, name, "model.json"), "utf8")));
        for (const [service, hash] of Object.entries(given.hash ?? {})) {
          const config = result.project.services[service];
          // A hash over a path of the machine that recorded it cannot be repeated here.
          if (config === undefined || JSON.stringify(config).includes(root)) continue;
          expect(`${service} ${serviceConfigHash(config)}`).toBe(`${service} ${hash}`);
        }
      });
    }
  },
);
