import type { FileSource } from "./file-source.ts";
import { pathTable, step } from "./path-table.ts";
import type { PathTable } from "./path-table.ts";
import { baseName, directoryOf, expandHome, isAbsolute, isWindowsAbsolute, joinPath } from "./paths.ts";
import type { Report } from "./report.ts";
import { child, mapChildren, stringAt, withKey, withScalar } from "./tree.ts";
import type { Node, ScalarNode, TreePath } from "./tree.ts";

export interface PathContext {
  /** Absolute for the project; for an included or extended file relative to what asked for it. */
  readonly base: string;
  readonly home: string | undefined;
  readonly files: FileSource;
  readonly report: Report;
}

type Resolver = (node: Node, path: TreePath, context: PathContext) => Node;

/** Paths in the model, relative to `base`, made absolute (or relative to whoever resolves them next). */
export function resolvePaths(root: Node, context: PathContext): Node {
  return walk(root, resolvers, [], context);
}

function walk(node: Node, table: PathTable<Resolver>, path: string[], context: PathContext): Node {
  if (table.value !== undefined) return table.value(node, path, context);
  return mapChildren(node, (value, key) => {
    const next = step(table, key);
    if (next === undefined || (value.kind === "scalar" && next.value === undefined)) return value;
    path.push(key);
    const result = walk(value, next, path, context);
    path.pop();
    return result;
  });
}

function textPath(change: (path: string, context: PathContext) => string): Resolver {
  const resolver: Resolver = (node, path, context) => {
    if (node.kind === "seq") return mapChildren(node, (item, index) => resolver(item, [...path, index], context));
    if (node.kind !== "scalar" || typeof node.value !== "string") return node;
    return withPath(node, change(node.value, context));
  };
  return resolver;
}

function withPath(node: ScalarNode, path: string): Node {
  return path === node.value ? node : withScalar(node, path, false, node.written ?? String(node.value));
}

function absolute(path: string, context: PathContext): string {
  const expanded = expandHome(path, context.home);
  return isAbsolute(expanded) || expanded === "" ? expanded : joinPath(context.base, expanded);
}

/** As `absolute`, but a Windows path passes, and nothing at all means the base itself. */
function unixPath(path: string, context: PathContext): string {
  const expanded = expandHome(path, context.home);
  return isAbsolute(expanded) || isWindowsAbsolute(expanded) ? expanded : joinPath(context.base, expanded);
}

const remoteContext = /^(?:https?:\/\/|git:\/\/|ssh:\/\/|github\.com\/|git@|service:)|:\/\//;

const buildContext = textPath((path, context) => (remoteContext.test(path) ? path : absolute(path, context)));

/** Watching follows links, so that what the kernel reports matches. What is not there yet keeps its name. */
const watched = textPath((path, context) => {
  const full = absolute(path, context);
  if (!isAbsolute(full)) return full;
  let existing = full;
  let rest = "";
  while (existing !== "/") {
    const real = context.files.realPath(existing);
    if (real !== undefined) return joinPath(real, rest);
    rest = joinPath(baseName(existing), rest);
    existing = directoryOf(existing);
  }
  return full;
});

const mount: Resolver = (node, path, context) => {
  if (node.kind !== "map" || stringAt(node, "type") !== "bind") return node;
  const source = child(node, "source");
  if (source === undefined) {
    const message = `${path.join(".")} is a bind mount without a source`;
    context.report.error({ code: "missing-key", message, path, at: node, expected: `the key "source"` });
    return node;
  }
  if (source.kind !== "scalar" || typeof source.value !== "string") return node;
  return withKey(node, "source", withPath(source, unixPath(source.value, context)));
};

/** A local volume over a folder of the host is a bind mount in disguise. */
const localVolume: Resolver = (node, _path, context) => {
  const options = child(node, "driver_opts");
  const device = child(options, "device");
  if (node.kind !== "map" || stringAt(node, "driver") !== "local" || stringAt(options, "o") !== "bind") return node;
  if (options?.kind !== "map" || device?.kind !== "scalar" || typeof device.value !== "string") return node;
  const resolved = withPath(device, unixPath(device.value, context));
  return withKey(node, "driver_opts", withKey(options, "device", resolved));
};

const resolvers = pathTable<Resolver>([
  ["services.*.build.context", buildContext],
  ["services.*.build.additional_contexts.*", buildContext],
  ["services.*.build.ssh.*", textPath(unixPath)],
  ["services.*.env_file.*.path", textPath(absolute)],
  ["services.*.label_file.*", textPath(absolute)],
  ["services.*.extends.file", textPath(absolute)],
  ["services.*.develop.watch.*.path", watched],
  ["services.*.volumes.*", mount],
  ["configs.*.file", textPath(unixPath)],
  ["secrets.*.file", textPath(unixPath)],
  ["volumes.*", localVolume],
]);
