import { TscomposeError } from "../../errors.ts";
import type { Project, Service } from "../../spec/model.ts";

import { granted } from "./mounts.ts";

/** A file that is put into a container between create and start. */
export interface InjectedFile {
  /** Absolute, in the container. */
  readonly path: string;
  readonly content: string;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
}

/** Secrets and configs that are text: from `content`, or from a variable. Empty ones make no file. What a volume of the service
 *  covers is left to the volume.
 *  @throws request/invalid when the root is read-only, when the variable is not set, or when uid or gid is no number. */
export function injectedFiles(project: Project, service: string, spec: Service): readonly InjectedFile[] {
  const files: InjectedFile[] = [];
  for (const grant of granted(project, spec)) {
    if (grant.file !== undefined) continue;
    if ((spec.volumes ?? []).some(({ target }) => target === grant.target)) continue;
    const content =
      grant.content ?? (grant.environment === undefined ? undefined : project.environment[grant.environment]);
    if (content === undefined) {
      throw new TscomposeError(
        "request/invalid",
        `environment variable "${grant.environment ?? ""}" required by ${grant.kind} "${grant.source}" is not set`,
        { hint: "set it in the environment or in .env" },
      );
    }
    if (content === "") continue;
    if (spec.read_only === true) {
      throw new TscomposeError(
        "request/invalid",
        `cannot put ${grant.kind} "${grant.source}" into service "${service}": its root is read-only`,
        { hint: `give the ${grant.kind} a "file", or drop read_only` },
      );
    }
    const { mode = "0444", uid = "0", gid = "0" } = grant.reference;
    files.push({
      path: grant.target,
      content,
      mode: Number.parseInt(mode, 8),
      uid: numericId(uid, `uid of ${grant.kind} "${grant.source}"`),
      gid: numericId(gid, `gid of ${grant.kind} "${grant.source}"`),
    });
  }
  return files;
}

function numericId(text: string, what: string): number {
  const id = Number(text);
  if (Number.isInteger(id) && id >= 0) return id;
  throw new TscomposeError("request/invalid", `${what} is "${text}", which is not a number`, {
    hint: "names of users and groups cannot be looked up before the container runs; write the number",
  });
}
