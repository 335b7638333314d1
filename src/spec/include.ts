import type { ChainLink } from "./diagnostic.ts";
import type { FileSource } from "./file-source.ts";
import { readEnvFiles, withVariables } from "./env-context.ts";
import type { VariableScope } from "./env-context.ts";
import { linkTo } from "./layer.ts";
import type { Layer, LoadContext } from "./layer.ts";
import { mergeTrees } from "./merge.ts";
import { nearestName } from "./near-miss.ts";
import { absolutePath, directoryOf, joinPath, relativePath } from "./paths.ts";
import { isRemote, reportRemote } from "./remote.ts";
import { applyResets } from "./resets.ts";
import { child, entryOf, isNull, map, stringAt, withKey, withoutKey } from "./tree.ts";
import type { MapNode, Node, TreePath } from "./tree.ts";

export type LoadLayer = (layer: Layer, context: LoadContext) => MapNode;

const sections = ["services", "volumes", "networks", "secrets", "configs", "models"];

/** Loads what the document includes, each with its own folder and environment, and puts it under the document's own
 *  definitions: a conflict is no error, the including file wins. */
export function applyInclude(
  document: MapNode,
  layer: Layer,
  resets: readonly TreePath[],
  context: LoadContext,
  loadLayer: LoadLayer,
): MapNode {
  const includes = child(document, "include");
  if (includes === undefined) return document;
  let result = withoutKey(document, "include");
  if (isNull(includes)) return result;
  if (includes.kind !== "seq") {
    const message = "include must be a list";
    context.report.error({ code: "include", message, path: ["include"], at: includes, expected: "a list of paths" });
    return result;
  }
  for (const [index, entry] of includes.items.entries()) {
    const included = loadEntry(entry, ["include", String(index)], layer, context, loadLayer);
    if (included !== undefined) result = importSections(included, result, resets, context);
  }
  return result;
}

function loadEntry(
  entry: Node,
  path: TreePath,
  layer: Layer,
  context: LoadContext,
  loadLayer: LoadLayer,
): MapNode | undefined {
  if (!isWellFormed(entry, path, context)) return undefined;
  const paths = texts(entry.kind === "map" ? child(entry, "path") : entry);
  const [main] = paths;
  if (main === undefined) {
    const message = `${path.join(".")} names no file`;
    context.report.error({ code: "include", message, path, at: entry, expected: "a path, or a map with path" });
    return undefined;
  }
  const remote = paths.find((one) => isRemote(one));
  if (remote !== undefined) {
    reportRemote(remote, path, entry, context.report);
    return undefined;
  }
  const files = paths.map((one) => absolutePath(one, layer.directory));
  const mainFile = files[0] ?? "";
  if (layer.open.includes(mainFile)) {
    const circle = [...layer.open.slice(layer.open.indexOf(mainFile)), mainFile].join(" -> ");
    context.report.error({
      code: "cycle",
      message: `files include each other in a circle: ${circle}`,
      path,
      at: entry,
    });
    return undefined;
  }
  const chain: readonly ChainLink[] = [linkTo(entry, "included from"), ...entry.file.chain];
  const directory = projectDirectory(entry, mainFile, layer, context.files);
  const base = relativePath(layer.directory, directory) ?? directory;
  const scope = includeScope(entry, directory, layer, chain, context);
  const key = JSON.stringify([
    files,
    base,
    directory,
    chain[0]?.file,
    [...scope.values].map(([name, v]) => [name, v.value]),
  ]);
  const cached = context.layers.get(key);
  if (cached !== undefined) return cached;
  const loaded = loadLayer({ paths: files, role: "include", chain, directory, base, scope, open: layer.open }, context);
  context.layers.set(key, loaded);
  return loaded;
}

const keys = ["path", "env_file", "project_directory"];

/** `include` is gone before the schema is held against the file, so its own shape is looked at here. */
function isWellFormed(entry: Node, path: TreePath, context: LoadContext): boolean {
  if (entry.kind !== "map") return true;
  const before = context.report.errors;
  for (const [key, { value, keyStart, keyEnd, keyFile }] of entry.entries) {
    const here = [...path, key];
    if (!keys.includes(key)) {
      const at = { file: keyFile, start: keyStart, end: keyEnd };
      const near = nearestName(key, keys);
      const suggestion = near === undefined ? undefined : `did you mean "${near}"?`;
      context.report.error({
        code: "unknown-key",
        message: `unknown key "${key}" in ${path.join(".")}`,
        path: here,
        at,
        suggestion,
      });
    } else if (!isNull(value) && !isTexts(value, key !== "project_directory")) {
      const expected = key === "project_directory" ? "text" : "text or a list of texts";
      context.report.error({
        code: "wrong-type",
        message: `${here.join(".")} must be ${expected}`,
        path: here,
        at: value,
        expected,
      });
    }
  }
  return context.report.errors === before;
}

function isTexts(node: Node, orList: boolean): boolean {
  if (node.kind === "seq") return orList && node.items.every((item) => isTexts(item, false));
  return node.kind === "scalar" && typeof node.value === "string";
}

function texts(node: Node | undefined): string[] {
  if (node?.kind === "scalar" && typeof node.value === "string") return [node.value];
  return node?.kind === "seq" ? node.items.flatMap((item) => texts(item)) : [];
}

/** A directory that is not there stands for the one it would be in. Source: compose-go `loader`, `Dir` of local files. */
function projectDirectory(entry: Node, mainFile: string, layer: Layer, files: FileSource): string {
  const given = stringAt(entry, "project_directory");
  if (given === undefined || given === "") return directoryOf(mainFile);
  const directory = absolutePath(given, layer.directory);
  return files.kind(directory) === "directory" ? directory : directoryOf(directory);
}

/** The parent's variables win over those of the include's own env files. `/dev/null` stands for no file at all. */
function includeScope(
  entry: Node,
  directory: string,
  layer: Layer,
  chain: readonly ChainLink[],
  context: LoadContext,
): VariableScope {
  const given = texts(child(entry, "env_file"));
  const fallback = joinPath(directory, ".env");
  const paths =
    given.length > 0
      ? given.filter((path) => path !== "/dev/null").map((path) => absolutePath(path, layer.directory))
      : context.files.kind(fallback) === "file"
        ? [fallback]
        : [];
  const request = { paths, cwd: layer.directory, kind: "include-env", chain } as const;
  return withVariables(layer.scope, readEnvFiles(request, layer.scope, context.files, context.report));
}

function importSections(
  included: MapNode,
  document: MapNode,
  resets: readonly TreePath[],
  context: LoadContext,
): MapNode {
  let result = document;
  for (const section of sections) {
    const source = child(included, section);
    if (source?.kind !== "map") continue;
    const own = child(result, section);
    const target = own?.kind === "map" ? own : map(new Map(), source);
    const entries = new Map(target.entries);
    for (const [name, entry] of source.entries) {
      const existing = entries.get(name);
      if (existing === undefined) {
        entries.set(name, entry);
        continue;
      }
      const path = [section, name];
      const base = applyResets(entry.value, resets, path);
      const value = mergeTrees(base, existing.value, path, { report: context.report });
      entries.set(name, {
        ...entryOf(value),
        keyFile: existing.keyFile,
        keyStart: existing.keyStart,
        keyEnd: existing.keyEnd,
      });
    }
    result = withKey(result, section, { ...target, entries });
  }
  return result;
}
