import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { afterAll, describe, expect, it } from "vitest";

import { findings } from "./findings.ts";
import { generateCase } from "./generate.ts";
import { difference, peers } from "./oracle.ts";

/** 2,000 for the figures of the issue; fewer in an ordinary run, where time counts. */
const count = Number(process.env["TSCOMPOSE_DIFFERENTIAL"] ?? "200");
const firstSeed = Number(process.env["TSCOMPOSE_SEED"] ?? "1");
const work = mkdtempSync(join(tmpdir(), "tscompose-differential-"));

afterAll(() => {
  rmSync(work, { recursive: true, force: true });
});

describe.skipIf(peers === undefined)(
  peers === undefined
    ? "differential run against docker-compose (not run: no peer)"
    : "differential run against docker-compose",
  () => {
    it(`${String(count)} generated projects from seed ${String(firstSeed)} get the same verdict and the same model`, async () => {
      const differences: string[] = [];
      let next = firstSeed;
      const worker = async (): Promise<void> => {
        while (next < firstSeed + count) {
          const seed = next++;
          const found = await difference(work, `seed ${String(seed)}`, generateCase(seed));
          if (found !== undefined) differences.push(found);
        }
      };
      await Promise.all([worker(), worker()]);
      expect(differences).toEqual([]);
    }, 900_000);

    for (const { name, files } of findings) {
      it(`${name}, as docker-compose has it`, async () => {
        expect(await difference(work, name, { files, args: [], environment: { SET: "yes" } })).toBeUndefined();
      });
    }
  },
);
