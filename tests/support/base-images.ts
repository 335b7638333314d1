/** The base images of the examples: archives that scripts/base-images makes once and keeps. */
import { execFileSync } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { repository } from "./workspace.ts";

/** Paths of the archives, made first where they are missing (minutes, and a Debian mirror). */
export function baseImages(names: readonly string[]): readonly string[] {
  const archives = names.map((name) => join(repository, `.cache/images/${name}.tar`));
  const missing = names.filter((_, index) => !existsSync(archives[index] ?? ""));
  // "true" stands for the command that loads: only the archives are wanted here.
  if (missing.length > 0)
    execFileSync(join(repository, "scripts/base-images"), ["--command", "true", ...missing], { stdio: "inherit" });
  return archives;
}
