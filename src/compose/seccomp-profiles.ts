import { readFile } from "node:fs/promises";
import { resolve } from "node:path";

import { errorMessage, TscomposeError } from "../errors.ts";
import { seccompProfilePath } from "../planner/create-body/host-config.ts";
import type { Project } from "../spec/model.ts";

/** Path as written in `security_opt` -> the profile, as compact JSON. @throws request/invalid */
export async function readSeccompProfiles(project: Project): Promise<ReadonlyMap<string, string>> {
  const options = Object.values(project.services).flatMap((spec) => spec.security_opt ?? []);
  const paths = new Set(options.map(seccompProfilePath).filter((path) => path !== undefined));
  const profiles = new Map<string, string>();
  for (const path of paths) {
    try {
      profiles.set(path, JSON.stringify(JSON.parse(await readFile(resolve(project.workingDir, path), "utf8"))));
    } catch (error) {
      throw new TscomposeError("request/invalid", `seccomp profile ${path} cannot be used: ${errorMessage(error)}`, {
        hint: "write the path of a readable JSON file, relative to the project directory",
        cause: error,
      });
    }
  }
  return profiles;
}
