/** One project through the real `docker-compose config` and through ours. */
import { execFile } from "node:child_process";
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { promisify } from "node:util";

import { serviceConfigHash } from "../../../src/spec/config-hash.ts";
import { loadProject } from "../../../src/spec/load-project.ts";
import { peerPrograms } from "../../support/peers.ts";
import { comparable, diagnosticsOf, disk, sortKeys } from "./support.ts";

const run = promisify(execFile);
export const peers = peerPrograms();

export interface Project {
  readonly files: Readonly<Record<string, string>>;
  readonly args: readonly string[];
  readonly environment: Readonly<Record<string, string>>;
}

function lay(work: string, name: string, project: Project): string {
  const directory = join(work, name, "proj");
  for (const [path, text] of Object.entries(project.files)) {
    mkdirSync(dirname(join(directory, path)), { recursive: true });
    writeFileSync(join(directory, path), text);
  }
  return directory;
}

/** The model, or the words of the refusal. */
type Verdict =
  { readonly model: unknown; readonly hashes: Readonly<Record<string, string>> } | { readonly refused: string };

async function theirs(project: Project, directory: string): Promise<Verdict> {
  const env = { PATH: "/usr/bin:/bin", HOME: "/nonexistent", ...project.environment };
  const config = async (...flags: string[]): Promise<string> => {
    const options = { cwd: directory, env, maxBuffer: 1 << 26 };
    return (await run(join(peers ?? "", "docker-compose"), [...project.args, "config", ...flags], options)).stdout;
  };
  try {
    const model = sortKeys(JSON.parse(await config("--format", "json")));
    const hashes = (await config("--hash", "*")).trim().split("\n");
    return { model, hashes: Object.fromEntries(hashes.filter((line) => line !== "").map((line) => line.split(" "))) };
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
    const result = await loadProject({ ...options, projectName: value("-p")[0] }, disk);
    const services = Object.entries(result.project.services);
    return {
      model: comparable(result),
      hashes: Object.fromEntries(services.map(([name, config]) => [name, serviceConfigHash(config)])),
    };
  } catch (error) {
    // What has no JSON form, and is refused so by `config --format json` of both.
    if (error instanceof RangeError) return { refused: error.message };
    return {
      refused: diagnosticsOf(error)
        .map((one) => one.message)
        .join("; "),
    };
  }
}

/** Lays the project out below `work`, asks both, takes it away again. Undefined where the two agree. */
export async function difference(work: string, name: string, project: Project): Promise<string | undefined> {
  const directory = lay(work, name, project);
  const [their, our] = [await theirs(project, directory), await ours(project, directory)];
  rmSync(dirname(directory), { recursive: true, force: true });
  if ("refused" in their && "refused" in our) return undefined;
  if ("refused" in their) return `${name}: Docker Compose refuses (${their.refused.trim().slice(-600)}), we do not`;
  if ("refused" in our) return `${name}: we refuse (${our.refused}), Docker Compose does not`;
  const [want, got] = [JSON.stringify(their.model), JSON.stringify(our.model)];
  if (want === got) {
    const other = Object.entries(their.hashes).find(([service, hash]) => our.hashes[service] !== hash);
    return other && `${name}: the models agree, the hash of ${other[0]} does not`;
  }
  const at = Array.from(want).findIndex((character, index) => character !== got[index]);
  return `${name}: theirs ...${want.slice(Math.max(0, at - 60), at + 80)}... ours ...${got.slice(Math.max(0, at - 60), at + 80)}...`;
}
