import { existsSync, readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

import { describe, expect, it } from "vitest";

import type { Diagnostic } from "../../../src/spec/diagnostic.ts";
import { TscomposeError } from "../../../src/errors.ts";
import type { FileSource } from "../../../src/spec/file-source.ts";
import { loadProject } from "../../../src/spec/load-project.ts";
import { createRandom } from "./random.ts";
import type { Random } from "./random.ts";
import { disk } from "./support.ts";

/** Real files, one change each, as a slip of the hand would make it: nothing may crash, and the error must be where the slip is. */
const shared = process.env["TSCOMPOSE_SHARED"] ?? fileURLToPath(new URL("../../../../shared", import.meta.url));
const corpus = join(shared, "corpus");
const count = 500;

interface Mutated {
  readonly text: string;
  /** From 1. */
  readonly line: number;
  readonly kind: string;
}

interface CorpusFile {
  readonly name: string;
  readonly directory: string;
  readonly file: string;
  readonly text: string;
}

function acceptedFiles(): CorpusFile[] {
  const found: CorpusFile[] = [];
  for (const name of existsSync(corpus) ? readdirSync(corpus) : []) {
    const caseFile = join(corpus, name, "case.json");
    if (!existsSync(caseFile)) continue;
    const given = JSON.parse(readFileSync(caseFile, "utf8")) as { exit: number; cwd: string; args: string[] };
    const named = given.args[0] === "-f" ? given.args[1] : undefined;
    const directory = join(corpus, name, "files", given.cwd);
    const candidates =
      named === undefined ? ["compose.yaml", "compose.yml", "docker-compose.yml", "docker-compose.yaml"] : [named];
    const file = candidates.map((candidate) => join(directory, candidate)).find((path) => existsSync(path));
    if (given.exit === 0 && file !== undefined && given.args.length <= 2) {
      found.push({ name, directory, file, text: readFileSync(file, "utf8") });
    }
  }
  return found;
}

const sections = new Set(["services", "networks", "volumes", "secrets", "configs", "include", "name", "version"]);

/** Slips that always make a file wrong, so that there is an error to be placed. */
function mutate(text: string, random: Random): Mutated | undefined {
  const lines = text.split("\n");
  const service = lines.flatMap((line, index) =>
    /^ {4}(image|restart|ports|environment|volumes|command|build|networks|container_name|depends_on|labels):/.test(line)
      ? [index]
      : [],
  );
  const inService = lines.flatMap((line, index) =>
    /^ {2}[a-zA-Z0-9_.-]+:\s*$/.test(line) && /^ {4}\S/.test(lines[index + 1] ?? "") ? [index] : [],
  );
  if (service.length === 0 || !lines.some((line) => line.startsWith("services:"))) return undefined;
  const at = random.pick(service);
  const line = lines[at] ?? "";
  const replace = (changed: string, kind: string): Mutated => {
    const copy = [...lines];
    copy[at] = changed;
    return { text: copy.join("\n"), line: at + 1, kind };
  };
  switch (random.int(9)) {
    case 0: {
      const key = /^ {4}([a-z_]+):/.exec(line)?.[1] ?? "";
      const drop = 1 + random.int(key.length - 1);
      return replace(line.replace(key, key.slice(0, drop) + key.slice(drop + 1) + "q"), "typo in a key");
    }
    case 1:
      return replace(line.replace(":", ""), "colon lost");
    case 2:
      return replace(`${line}\n${line.replace(/:.*/, ": 1")}`, "key given twice");
    case 3:
      return replace(`\t${line.trimStart()}`, "tab for spaces");
    case 4: {
      const to = random.pick(inService.length > 0 ? inService : [at]);
      const copy = [...lines];
      copy.splice(to + 1, 0, "    no_such_key: 1");
      return { text: copy.join("\n"), line: to + 2, kind: "unknown key added" };
    }
    case 5:
      return replace(line.replace(/:.*/, `: "\${UNCLOSED`), "quote and brace left open");
    case 6:
      return replace(line.replace(/^ {4}([a-z_]+):.*/, "    $1: {bad: [1, 2}"), "brackets that do not match");
    case 7: {
      const copy = [...lines];
      const to = random.pick(inService.length > 0 ? inService : [at]);
      copy.splice(to + 1, 0, "    cpus: [1, 2]");
      return { text: copy.join("\n"), line: to + 2, kind: "wrong type" };
    }
    default: {
      const copy = [...lines];
      const to = random.pick(inService.length > 0 ? inService : [at]);
      copy.splice(to + 1, 0, "    mem_swappiness: 12 parsecs", "    working_dir: /${HERE:?must be set}");
      return { text: copy.join("\n"), line: to + 2, kind: "a bad size and a required variable" };
    }
  }
}

async function firstErrors(file: CorpusFile, text: string): Promise<readonly Diagnostic[] | "accepted"> {
  const read = (path: string, max: number): Uint8Array | undefined =>
    path === file.file ? new TextEncoder().encode(text) : disk.read(path, max);
  const files: FileSource = { ...disk, read };
  const environment = { PATH: "/usr/bin:/bin", HOME: "/nonexistent" };
  try {
    await loadProject({ cwd: file.directory, environment, home: "/nonexistent", files: [file.file] }, files);
    return "accepted";
  } catch (error) {
    if (!(error instanceof TscomposeError) || error.code !== "spec/invalid") throw error;
    const diagnostics = (error.details["diagnostics"] as readonly Diagnostic[] | undefined) ?? [];
    return diagnostics.filter((one) => one.severity === "error");
  }
}

describe.skipIf(!existsSync(corpus))("500 corpus files with a slip each", () => {
  it("never crash, and at least 98 % of the errors point at the line or the one beside it", async () => {
    const random = createRandom(Number(process.env["TSCOMPOSE_SEED"] ?? "20261121"));
    const files = acceptedFiles().filter(
      ({ text }) => sections.has(text.split(":")[0] ?? "") || text.includes("\nservices:"),
    );
    let done = 0;
    let refused = 0;
    const misplaced: string[] = [];
    while (done < count) {
      const file = random.pick(files);
      const mutated = mutate(file.text, random);
      if (mutated === undefined) continue;
      done++;
      const errors = await firstErrors(file, mutated.text);
      if (errors === "accepted") continue;
      refused++;
      const near = errors.some((one) => one.place !== undefined && Math.abs(one.place.line - mutated.line) <= 1);
      if (!near) {
        const shown = errors.map((one) => `${String(one.place?.line)}: ${one.message}`).join(" | ");
        misplaced.push(`${file.name} line ${String(mutated.line)} (${mutated.kind}): ${shown}`);
      }
    }
    // A slip that leaves a valid file (a folded plain text, say) is no error to place.
    expect(refused).toBeGreaterThan(count * 0.9);
    expect(misplaced.length / refused, misplaced.join("\n")).toBeLessThanOrEqual(0.02);
  });
});
