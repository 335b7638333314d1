/** The CDI devices that this host has, read anew at each question: who installs a driver need not restart the engine. The files
 *  name programs that run as root, so only root may be able to write them.
 *  Source: cncf-tags/container-device-interface SPEC.md: a later directory wins, twice in one is a conflict. */
import { lstatSync, readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { errorMessage, TscomposeError } from "../../../errors.ts";
import { parseCdiSpec, type CdiEdits, type CdiSpec } from "./cdi-spec.ts";

export const defaultCdiDirectories: readonly string[] = ["/etc/cdi", "/var/run/cdi"];
const maxFileBytes = 4 * 1024 * 1024;

export interface CdiDevices {
  /** `vendor.com/class` -> names, as in the files. */
  readonly kinds: ReadonlyMap<string, readonly string[]>;
  /** What a container that gets the device is changed by: the file's edits once, then the device's. */
  editsOf(name: string): { readonly file: CdiSpec; readonly device: CdiEdits } | undefined;
  /** Why files or devices do not count, one line each. */
  readonly problems: readonly string[];
}

/** Lowest priority first. What cannot be read is a problem, not an error: other devices do not depend on it. */
export function readCdiDevices(directories: readonly string[]): CdiDevices {
  const devices = new Map<string, { readonly file: CdiSpec; readonly device: CdiEdits } | "conflict">();
  const problems: string[] = [];
  for (const directory of directories) {
    const here = new Map<string, string>();
    for (const path of specFiles(directory)) {
      try {
        const file = readSpec(path);
        for (const [name, device] of file.devices) {
          const full = `${file.kind}=${name}`;
          const other = here.get(full);
          here.set(full, path);
          devices.set(full, other === undefined ? { file, device } : "conflict");
          if (other !== undefined) problems.push(`${full} is both in ${other} and in ${path}`);
        }
      } catch (error) {
        problems.push(`${path}: ${errorMessage(error)}`);
      }
    }
  }
  const kinds = new Map<string, string[]>();
  for (const [full, found] of devices) {
    const [kind = "", name = ""] = full.split("=");
    if (found !== "conflict") kinds.set(kind, [...(kinds.get(kind) ?? []), name]);
  }
  return {
    kinds,
    editsOf: (name) => {
      const found = devices.get(name);
      return found === "conflict" ? undefined : found;
    },
    problems,
  };
}

function specFiles(directory: string): readonly string[] {
  try {
    return readdirSync(directory)
      .filter((name) => /\.(json|ya?ml)$/.test(name))
      .toSorted()
      .map((name) => join(directory, name));
  } catch {
    return []; // most hosts have none
  }
}

function readSpec(path: string): CdiSpec {
  const stat = statSync(path);
  const link = lstatSync(path);
  if (!stat.isFile()) throw new TscomposeError("host/unsupported", "it is no regular file");
  if (stat.uid !== 0 || link.uid !== 0 || (stat.mode & 0o022) !== 0) {
    throw new TscomposeError("host/unsupported", "it must belong to root and be writable by root alone");
  }
  if (stat.size > maxFileBytes) throw new TscomposeError("host/unsupported", `it is larger than ${maxFileBytes} bytes`);
  return parseCdiSpec(readFileSync(path, "utf8"));
}
