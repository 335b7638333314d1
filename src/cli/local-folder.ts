import { mkdirSync, readFileSync, statSync } from "node:fs";
import { resolve } from "node:path";
import type { LocalFolder } from "../compose/context.ts";
import { TscomposeError } from "../errors.ts";

/** A folder as an engine on this machine finds it again, and no other engine does. @throws build/invalid */
export function localFolder(directory: string): LocalFolder {
  const path = resolve(directory);
  const stat = statSync(path, { bigint: true, throwIfNoEntry: false });
  if (stat?.isDirectory() !== true) {
    throw new TscomposeError("build/invalid", `the folder ${path} is not a directory`, {
      hint: "check build.context, build.additional_contexts and build.cache_from",
    });
  }
  const bootId = readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim();
  return { path, bootId, dev: String(stat.dev), ino: String(stat.ino) };
}

/** As `localFolder`, of a folder that is made where it is not there. @throws build/invalid */
export function newFolder(directory: string): LocalFolder {
  try {
    mkdirSync(resolve(directory), { recursive: true });
  } catch (error) {
    throw new TscomposeError("build/invalid", `the folder ${directory} cannot be made`, { cause: error });
  }
  return localFolder(directory);
}
