import { pathTable, step } from "./path-table.ts";
import type { PathTable } from "./path-table.ts";
import type { SourceFile, Span } from "./source.ts";
import { mapChildren, scalar, stringAt, withKey } from "./tree.ts";
import type { MapNode, Node, ScalarValue } from "./tree.ts";

type Default = (node: MapNode) => MapNode;

/** Fills in what Docker Compose fills in before paths are resolved. */
export function setDefaults(root: Node): Node {
  return walk(root, defaults);
}

function walk(node: Node, table: PathTable<Default>): Node {
  const filled = table.value !== undefined && node.kind === "map" ? table.value(node) : node;
  if (table.any === undefined && table.keys.size === 0) return filled;
  return mapChildren(filled, (value, key) => {
    const next = step(table, key);
    return next === undefined || value.kind === "scalar" ? value : walk(value, next);
  });
}

const defaultFiles = new WeakMap<SourceFile, SourceFile>();

/** A value nobody wrote: it stands where the thing stands that it belongs to, and says that it is a default. */
export function defaultScalar(value: ScalarValue, at: Span): Node {
  let file = defaultFiles.get(at.file);
  if (file === undefined) defaultFiles.set(at.file, (file = { ...at.file, role: "default" }));
  return scalar(value, { file, start: at.start, end: at.end });
}

function defaultTo(key: string, value: (node: MapNode) => ScalarValue): Default {
  return (node) => (node.entries.has(key) ? node : withKey(node, key, defaultScalar(value(node), node)));
}

const deviceCount: Default = (node) => (node.entries.has("device_ids") ? node : defaultTo("count", () => "all")(node));

const defaults = pathTable<Default>([
  ["services.*.build", defaultTo("context", () => ".")],
  ["services.*.secrets.*", defaultTo("target", (node) => `/run/secrets/${stringAt(node, "source") ?? ""}`)],
  ["services.*.ports.*", (node) => defaultTo("mode", () => "ingress")(defaultTo("protocol", () => "tcp")(node))],
  ["services.*.deploy.resources.reservations.devices.*", deviceCount],
  ["services.*.gpus.*", deviceCount],
  ["services.*.volumes.*.bind", defaultTo("create_host_path", () => true)],
]);
