import { pathTable, step } from "./path-table.ts";
import type { PathTable } from "./path-table.ts";
import type { Report } from "./report.ts";
import { parseVolumeSpec } from "./short/volume.ts";
import { beating, mapChildren, stringAt, withItems } from "./tree.ts";
import type { Node, SeqNode, TreePath } from "./tree.ts";

/** What makes two list items the same. A string is the key, an object a complaint. */
type Indexer = (item: Node) => string | { readonly problem: string };

const wrong = (expected: string): { problem: string } => ({ problem: `must be ${expected}` });

const byKey: Indexer = (item) =>
  item.kind === "scalar" && typeof item.value === "string"
    ? item.value.slice(0, item.value.includes("=") ? item.value.indexOf("=") : undefined)
    : wrong("text");

const byText: Indexer = (item) => {
  if (item.kind === "scalar" && typeof item.value === "string") return item.value;
  return item.kind === "scalar" && typeof item.value === "number" && !item.float
    ? String(item.value)
    : wrong("text or an integer");
};

const byVolumeTarget: Indexer = (item) => {
  if (item.kind === "map") return stringAt(item, "target") ?? { problem: "has no target" };
  if (item.kind === "scalar" && typeof item.value === "string") {
    const spec = parseVolumeSpec(item.value);
    return typeof spec === "string" ? { problem: `is not a volume: ${spec}` } : spec.target;
  }
  return "";
};

const byDeviceTarget: Indexer = (item) => {
  if (item.kind === "map") return stringAt(item, "target") ?? { problem: "has no target" };
  if (item.kind !== "scalar" || typeof item.value !== "string") return "";
  const [source = "", target] = item.value.split(":");
  return target ?? source;
};

const byMountPoint =
  (folder: string): Indexer =>
  (item) => {
    if (item.kind === "scalar" && typeof item.value === "string") return `${folder}/${item.value}`;
    if (item.kind !== "map") return wrong("a name or a map");
    return stringAt(item, "target") ?? `${folder}/${stringAt(item, "source") ?? ""}`;
  };

const byPath: Indexer = (item) => {
  if (item.kind === "scalar" && typeof item.value === "string") return item.value;
  return item.kind === "map" ? (stringAt(item, "path") ?? { problem: "has no path" }) : "";
};

/** Numbers and text differ here, as they do for Docker Compose. */
const byPort: Indexer = (item) => {
  if (item.kind === "scalar") return String(item.value);
  if (item.kind !== "map") return "";
  const part = (key: string, fallback: string): string => {
    const value = item.entries.get(key)?.value;
    return value?.kind === "scalar" ? `${typeof value.value}${String(value.value)}` : fallback;
  };
  if (!item.entries.has("target")) return { problem: "has no target port" };
  const host = part("host_ip", "string0.0.0.0");
  return `${host}:${part("published", "none")}:${part("target", "")}/${part("protocol", "stringtcp")}`;
};

export const uniqueRules = pathTable<Indexer>([
  ["networks.*.labels", byKey],
  ["networks.*.ipam.options", byKey],
  ["services.*.annotations", byKey],
  ["services.*.build.args", byKey],
  ["services.*.build.additional_contexts", byKey],
  ["services.*.build.tags", byKey],
  ["services.*.build.labels", byKey],
  ["services.*.cap_add", byKey],
  ["services.*.cap_drop", byKey],
  ["services.*.configs", byMountPoint("")],
  ["services.*.deploy.labels", byKey],
  ["services.*.devices", byDeviceTarget],
  ["services.*.dns", byKey],
  ["services.*.dns_opt", byKey],
  ["services.*.dns_search", byKey],
  ["services.*.environment", byKey],
  ["services.*.env_file", byPath],
  ["services.*.expose", byText],
  ["services.*.labels", byKey],
  ["services.*.links", byKey],
  ["services.*.networks.*.aliases", byKey],
  ["services.*.networks.*.link_local_ips", byKey],
  ["services.*.ports", byPort],
  ["services.*.profiles", byKey],
  ["services.*.secrets", byMountPoint("/run/secrets")],
  ["services.*.sysctls", byKey],
  ["services.*.tmpfs", byKey],
  ["services.*.volumes", byVolumeTarget],
]);

/** Of list items with the same key the last one stays, at the place of the first. */
export function enforceUnicity(root: Node, report: Report): Node {
  return walk(root, uniqueRules, [], report);
}

function walk(node: Node, table: PathTable<Indexer>, path: string[], report: Report): Node {
  if (node.kind === "seq") return table.value === undefined ? node : dropEarlier(node, table.value, path, report);
  return mapChildren(node, (value, key) => {
    if (value.kind === "scalar") return value;
    const next = step(table, key);
    if (next === undefined) return value;
    path.push(key);
    const result = walk(value, next, path, report);
    path.pop();
    return result;
  });
}

function dropEarlier(node: SeqNode, indexer: Indexer, path: TreePath, report: Report): Node {
  const places = new Map<string, number>();
  const items: Node[] = [];
  for (const [index, item] of node.items.entries()) {
    const key = indexer(item);
    if (typeof key !== "string") {
      const itemPath = [...path, String(index)];
      const code = key.problem.startsWith("must") ? "wrong-type" : "short-syntax";
      report.error({ code, message: `${itemPath.join(".")} ${key.problem}`, path: itemPath, at: item });
      items.push(item);
      continue;
    }
    const place = places.get(key);
    const earlier = place === undefined ? undefined : items[place];
    if (place === undefined || earlier === undefined) {
      places.set(key, items.length);
      items.push(item);
    } else {
      items[place] = beating(item, earlier);
    }
  }
  return items.length === node.items.length ? node : withItems(node, items);
}
