import { compareBytes } from "./compare.ts";
import { pathTable } from "./path-table.ts";
import type { Report } from "./report.ts";
import { formatScalar } from "./scalar.ts";
import { beating, child, entryOf, isNull, map, mapOf, scalar, seq, toPlain, withItems } from "./tree.ts";
import type { Entry, MapNode, Node, ScalarNode, SeqNode, TreePath } from "./tree.ts";

export interface RuleContext {
  readonly path: TreePath;
  /** The ordinary merge of two maps at this path. */
  readonly mergeMaps: (base: MapNode, over: MapNode) => Node;
  readonly report: Report;
}

export type MergeRule = (base: Node, over: Node, context: RuleContext) => Node;

const replace: MergeRule = (base, over) => beating(over, base);

const toSequence: MergeRule = (base, over) => {
  const items = [...asSequence(base), ...asSequence(over)];
  return seq(items, base.kind === "scalar" && isNull(base) ? over : base);
};

const extraHosts: MergeRule = (base, over) => {
  const left = asSequence(base);
  const have = new Set(left.map(identity));
  return seq([...left, ...asSequence(over).filter((item) => !have.has(identity(item)))], base);
};

function identity(node: Node): string {
  return JSON.stringify(toPlain(node), (_key, value: unknown) => (typeof value === "bigint" ? String(value) : value));
}

/** A map becomes a `key=value` list in key order; that is what makes a later `- KEY=other` win over it. */
export function asSequence(node: Node): readonly Node[] {
  if (node.kind === "seq") return node.items;
  if (node.kind === "scalar") return typeof node.value === "string" ? [node] : [];
  const items: ScalarNode[] = [];
  for (const [key, entry] of node.entries) {
    const { value } = entry;
    if (isNull(value)) items.push({ ...scalar(key, entryPlace(entry)), beats: value.beats });
    else if (value.kind === "seq") for (const item of value.items) items.push(pair(key, item, entry));
    else items.push(pair(key, value, entry));
  }
  return items.sort((a, b) => compareBytes(String(a.value), String(b.value)));
}

function entryPlace(entry: Entry): { file: Node["file"]; start: number; end: number } {
  return { file: entry.keyFile, start: entry.keyStart, end: entry.keyEnd };
}

function pair(key: string, value: Node, entry: Entry): ScalarNode {
  const text = value.kind === "scalar" ? formatScalar(value.value, value.float) : identity(value);
  const written = value.kind === "scalar" && value.written !== undefined ? `${key}=${value.written}` : undefined;
  const sameFile = value.file === entry.keyFile && value.end >= entry.keyStart;
  const place = sameFile ? { file: value.file, start: entry.keyStart, end: value.end } : value;
  return { ...scalar(`${key}=${text}`, place), written, beats: value.beats };
}

const build: MergeRule = (base, over, context) => {
  const left = base.kind === "scalar" && typeof base.value === "string" ? mapOf([["context", base]], base) : base;
  const right = over.kind === "scalar" && typeof over.value === "string" ? mapOf([["context", over]], over) : over;
  return mergeAsMaps(left, right, context);
};

/** A list of names becomes a map from name to what `makeValue` gives. */
function listToMap(makeValue: (item: Node) => Node): MergeRule {
  const toMap = (node: Node): Node => {
    if (node.kind !== "seq") return node;
    const entries = new Map<string, Entry>();
    for (const item of node.items) {
      if (item.kind === "scalar" && typeof item.value === "string") {
        entries.set(item.value, entryOf(makeValue(item), item));
      } else return node;
    }
    return map(entries, node);
  };
  return (base, over, context) => mergeAsMaps(toMap(base), toMap(over), context);
}

function mergeAsMaps(left: Node, right: Node, context: RuleContext): Node {
  if (isNull(right)) return left;
  if (isNull(left)) return right;
  if (left.kind === "map" && right.kind === "map") return context.mergeMaps(left, right);
  const wrong = left.kind === "map" ? right : left;
  context.report.error({
    code: "merge",
    message: `cannot merge ${context.path.join(".")}: one side is not a map`,
    path: context.path,
    at: wrong,
    expected: "a map",
  });
  return left;
}

const dependency = (item: Node): Node =>
  mapOf(
    [
      ["condition", scalar("service_started", item)],
      ["required", scalar(true, item)],
    ],
    item,
  );

/** Options belong to a driver: with another driver the whole block is replaced. */
const logging: MergeRule = (base, over, context) => {
  const left = child(base, "driver");
  const right = child(over, "driver");
  const same = left?.kind === "scalar" && right?.kind === "scalar" && left.value === right.value;
  if (same || left === undefined || right === undefined) return mergeAsMaps(base, over, context);
  return beating(over, base);
};

/** Pools with the same subnet are merged, others stand side by side. */
const ipamConfig: MergeRule = (base, over, context) => {
  if (base.kind !== "seq" || over.kind !== "seq") return mergeAsMaps(base, over, context);
  return withItems(base, mergePools(base, over, context));
};

/** A pool of the base that no overriding pool matches is lost, and a match is changed where it stands even if another pool is
 *  merged into it later: so it is in Docker Compose, whose networks must come out the same. */
function mergePools(base: SeqNode, over: SeqNode, context: RuleContext): Node[] {
  const pools: { node: Node }[] = [];
  const find = (subnet: unknown): number => pools.findIndex((pool) => subnetOf(pool.node) === subnet);
  const overrides = over.items.map((node) => ({ node }));
  for (const node of base.items) {
    const current = { node };
    for (const item of overrides) {
      const subnet = subnetOf(item.node);
      if (subnet !== subnetOf(current.node) && find(subnet) === -1) {
        pools.push(item);
        continue;
      }
      current.node = mergeAsMaps(current.node, item.node, context);
      const at = find(subnetOf(current.node));
      if (at === -1) pools.push(current);
      else pools[at] = current;
    }
  }
  return pools.map((pool) => pool.node);
}

function subnetOf(pool: Node): unknown {
  const subnet = child(pool, "subnet");
  return subnet?.kind === "scalar" ? subnet.value : undefined;
}

const nothing = (item: Node): Node => scalar(null, item);

export const mergeRules = pathTable<MergeRule>([
  ["networks.*.ipam.config", ipamConfig],
  ["networks.*.labels", toSequence],
  ["volumes.*.labels", toSequence],
  ["services.*.annotations", toSequence],
  ["services.*.build", build],
  ["services.*.build.args", toSequence],
  ["services.*.build.additional_contexts", toSequence],
  ["services.*.build.extra_hosts", extraHosts],
  ["services.*.build.labels", toSequence],
  ["services.*.command", replace],
  ["services.*.depends_on", listToMap(dependency)],
  ["services.*.deploy.labels", toSequence],
  ["services.*.dns", toSequence],
  ["services.*.dns_opt", toSequence],
  ["services.*.dns_search", toSequence],
  ["services.*.entrypoint", replace],
  ["services.*.env_file", toSequence],
  ["services.*.label_file", toSequence],
  ["services.*.environment", toSequence],
  ["services.*.extra_hosts", extraHosts],
  ["services.*.healthcheck.test", replace],
  ["services.*.labels", toSequence],
  ["services.*.volumes.*.volume.labels", toSequence],
  ["services.*.logging", logging],
  ["services.*.models", listToMap(nothing)],
  ["services.*.networks", listToMap(nothing)],
  ["services.*.sysctls", toSequence],
  ["services.*.tmpfs", toSequence],
  ["services.*.ulimits.*", replace],
]);
