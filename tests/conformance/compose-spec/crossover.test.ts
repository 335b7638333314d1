import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

import { afterAll, describe, expect, it } from "vitest";
import { parseAllDocuments } from "yaml";

import { breed, makeStock } from "./crossover.ts";
import { difference, peers } from "./oracle.ts";
import { createRandom } from "./random.ts";

const shared = process.env["TSCOMPOSE_SHARED"] ?? fileURLToPath(new URL("../../../../shared", import.meta.url));
const corpus = join(shared, "corpus");
const count = Number(process.env["TSCOMPOSE_CROSSOVER"] ?? "100");
const firstSeed = Number(process.env["TSCOMPOSE_SEED"] ?? "1");
/** Where we differ on purpose: see differences.md. */
const onPurpose = [/we refuse \(cannot merge services\.[^.]+\.depends_on: one side is not a map/];
const work = mkdtempSync(join(tmpdir(), "tscompose-crossover-"));

afterAll(() => {
  rmSync(work, { recursive: true, force: true });
});

function documents(): readonly unknown[] {
  const files = readdirSync(corpus, { recursive: true, encoding: "utf8" }).filter((path) => /\.ya?ml$/.test(path));
  return files.toSorted().flatMap((path) => {
    try {
      return parseAllDocuments(readFileSync(join(corpus, path), "utf8"), { merge: true }).map(
        (one): unknown => one.toJS() as unknown,
      );
    } catch {
      return []; // one of those that are refused
    }
  });
}

const missing = peers === undefined || !existsSync(corpus);
describe.skipIf(missing)(
  missing ? "files bred from the corpus (not run: no peer or no corpus)" : "files bred from the corpus",
  () => {
    it(`${String(count)} from seed ${String(firstSeed)} get the same verdict, model and hashes as from docker-compose`, async () => {
      const stock = makeStock(documents());
      const differences: string[] = [];
      let next = firstSeed;
      const worker = async (): Promise<void> => {
        while (next < firstSeed + count) {
          const seed = next++;
          const found = await difference(work, `seed ${String(seed)}`, breed(stock, createRandom(seed)));
          if (found !== undefined && !onPurpose.some((one) => one.test(found))) differences.push(found);
        }
      };
      await Promise.all([worker(), worker()]);
      expect(differences).toEqual([]);
    }, 900_000);
  },
);
