import { execFile } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { promisify } from "node:util";

import { afterAll, describe, expect, it } from "vitest";

import { loadProject } from "../../../src/spec/load-project.ts";
import { peerPrograms } from "../../support/peers.ts";
import { findings } from "./findings.ts";
import { generateCase } from "./generate.ts";
import { comparable, diagnosticsOf, disk, sortKeys } from "./support.ts";

const run = promisify(execFile);
const peers = peerPrograms();
/** 2,000 for the figures of the issue; fewer in an ordinary run, where time counts. */
const count = Number(process.env["TSCOMPOSE_DIFFERENTIAL"] ?? "200");
const firstSeed = Number(process.env["TSCOMPOSE_SEED"] ?? "1");
const work = mkdtempSync(join(tmpdir(), "tscompose-differential-"));

afterAll(() => {
  rmSync(work, { recursive: true, force: true });
});

interface Project {
  readonly files: Readonly<Record<string, string>>;
  readonly args: readonly string[];
  readonly environment: Readonly<Record<string, string>>;
}

function lay(name: string, project: Project): string {
  const directory = join(work, name, "proj");
  for (const [path, text] of Object.entries(project.files)) {
    mkdirSync(dirname(join(directory, path)), { recursive: true });
    writeFileSync(join(directory, path), text);
  }
  return directory;
}

/** The model, or the words of the refusal. */
type Verdict = { readonly model: unknown } | { readonly refused: string };

async function theirs(project: Project, directory: string): Promise<Verdict> {
  const env = { PATH: "/usr/bin:/bin", HOME: "/nonexistent", ...project.environment };
  const args = [...project.args, "config", "--format", "json"];
  try {
    const { stdout } = await run(join(peers ?? "", "docker-compose"), args, {
      cwd: directory,
      env,
      maxBuffer: 1 << 26,
    });
    return { model: sortKeys(JSON.parse(stdout)) };
  } catch (error) {
    return { refused: String((error as { stderr?: string }).stderr) };
  }
}

async function ours(project: Project, directory: string): Promise<Verdict> {
  const value = (flag: string): string[] =>
    project.args.flatMap((arg, at) => (project.args[at - 1] === flag ? [arg] : []));
  const environment = { PATH: "/usr/bin:/bin", HOME: "/nonexistent", ...project.environment };
  const options = {
    cwd: directory,
    environment,
    home: "/nonexistent",
    files: value("-f"),
    profiles: value("--profile"),
  };
  try {
    return { model: comparable(await loadProject({ ...options, projectName: value("-p")[0] }, disk)) };
  } catch (error) {
    return {
      refused: diagnosticsOf(error)
        .map((one) => one.message)
        .join("; "),
    };
  }
}

/** Undefined where the two agree. */
async function difference(name: string, project: Project): Promise<string | undefined> {
  const directory = lay(name, project);
  const [their, our] = [await theirs(project, directory), await ours(project, directory)];
  rmSync(dirname(directory), { recursive: true, force: true });
  if ("refused" in their && "refused" in our) return undefined;
  if ("refused" in their) return `${name}: Docker Compose refuses (${their.refused.trim().slice(-200)}), we do not`;
  if ("refused" in our) return `${name}: we refuse (${our.refused}), Docker Compose does not`;
  const [want, got] = [JSON.stringify(their.model), JSON.stringify(our.model)];
  if (want === got) return undefined;
  const at = Array.from(want).findIndex((character, index) => character !== got[index]);
  return `${name}: theirs ...${want.slice(Math.max(0, at - 60), at + 80)}... ours ...${got.slice(Math.max(0, at - 60), at + 80)}...`;
}

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
          const found = await difference(`seed ${String(seed)}`, generateCase(seed));
          if (found !== undefined) differences.push(found);
        }
      };
      await Promise.all([worker(), worker()]);
      expect(differences).toEqual([]);
    }, 900_000);

    for (const { name, files } of findings) {
      it(`${name}, as docker-compose has it`, async () => {
        expect(await difference(name, { files, args: [], environment: { SET: "yes" } })).toBeUndefined();
      });
    }
  },
);
