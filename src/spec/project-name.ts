import { lookupIn } from "./env-context.ts";
import type { VariableScope } from "./env-context.ts";
import { interpolate } from "./interpolate.ts";
import type { LoadOptions } from "./load-options.ts";
import { baseName } from "./paths.ts";
import type { Report } from "./report.ts";
import { child, mapOf } from "./tree.ts";
import type { Node } from "./tree.ts";

/** Lower case; only letters, digits, `_` and `-`; a letter or digit first. May leave nothing. */
export function normalizeProjectName(name: string): string {
  return name
    .toLowerCase()
    .replace(/[^a-z0-9_-]/g, "")
    .replace(/^[_-]+/, "");
}

/** `-p`, else `COMPOSE_PROJECT_NAME`, else the last `name:` of the files, else the folder's name. Undefined after a reported
 *  error. `documents`: of each file. */
export function projectName(
  options: LoadOptions,
  scope: VariableScope,
  workingDir: string,
  documents: readonly (readonly Node[])[],
  report: Report,
): string | undefined {
  const flag = options.projectName;
  if (flag !== undefined && flag !== "") return strict(flag, "-p", report);
  const variable = scope.values.get("COMPOSE_PROJECT_NAME")?.value;
  if (variable !== undefined && variable !== "") return strict(variable, "COMPOSE_PROJECT_NAME", report);
  const given = documents.flatMap((file) => file.flatMap((document) => child(document, "name") ?? []));
  const named = given.filter((node) => node.kind === "scalar" && node.value !== null && node.value !== "");
  // Whether a file is named is asked of its first document alone.
  const first = documents.some((file) => file[0] !== undefined && named.includes(child(file[0], "name") ?? file[0]));
  const fallback = first ? "" : normalizeProjectName(baseName(workingDir));
  const last = named.at(-1);
  const text = last === undefined ? "" : textOf(last, scope, options, report);
  const name = options.without?.has("normalization") === true ? text : normalizeProjectName(text);
  if (name !== "") return name;
  if (fallback !== "") return fallback;
  report.error({
    code: "project-name",
    message: "the project has no name",
    at: last,
    path: last === undefined ? [] : ["name"],
    suggestion: "give it one with -p, COMPOSE_PROJECT_NAME, or `name:` at the top of the file",
  });
  return undefined;
}

function textOf(node: Node, scope: VariableScope, options: LoadOptions, report: Report): string {
  const value = options.without?.has("interpolation") === true ? node : resolved(node, scope, report);
  return value?.kind === "scalar" ? String(value.value ?? "") : "";
}

function resolved(node: Node, scope: VariableScope, report: Report): Node | undefined {
  return child(interpolate(mapOf([["name", node]], node), lookupIn(scope), report), "name");
}

function strict(name: string, from: string, report: Report): string | undefined {
  const normal = normalizeProjectName(name);
  if (normal === name) return name;
  report.error({
    code: "project-name",
    message: `invalid project name "${name}" (from ${from})`,
    expected: "lower-case letters, digits, hyphens and underscores, beginning with a letter or digit",
    suggestion: normal === "" ? undefined : `use "${normal}"`,
  });
  return undefined;
}
