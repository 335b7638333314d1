/** Small static programs in C that tests run inside containers: built once for this machine, under .cache/. */
import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, renameSync } from "node:fs";
import { join, resolve } from "node:path";
import { promisify } from "node:util";

const repository = resolve(import.meta.dirname, "../..");

/** Builds `tests/support/programs/<name>.c`. @returns a directory with nothing but the program in it, to bind into a container */
export async function buildProgram(name: string): Promise<string> {
  const source = join(import.meta.dirname, "programs", `${name}.c`);
  const digest = createHash("sha256").update(readFileSync(source)).digest("hex").slice(0, 16);
  const directory = join(repository, ".cache/programs", `${name}-${digest}`);
  const program = join(directory, name);
  if (!existsSync(program)) {
    mkdirSync(directory, { recursive: true });
    const part = `${directory}.${process.pid}`;
    await promisify(execFile)("gcc", ["-O1", "-static", "-o", part, source]);
    renameSync(part, program);
  }
  return directory;
}
