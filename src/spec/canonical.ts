import { pathTable, step } from "./path-table.ts";
import type { PathTable } from "./path-table.ts";
import type { Report } from "./report.ts";
import { formatScalar } from "./scalar.ts";
import { parsePortSpec } from "./short/port.ts";
import { cleanTarget, parseVolumeSpec } from "./short/volume.ts";
import { entryOf, isNull, map, mapChildren, mapOf, scalar, seq, withKey } from "./tree.ts";
import type { Entry, MapNode, Node, ScalarNode, TreePath } from "./tree.ts";

export interface CanonicalContext {
  readonly report: Report;
  /** Variables may stand where a number is wanted, so what cannot be read is left as it is. */
  readonly uninterpolated: boolean;
}

type Transform = (node: Node, path: TreePath, context: CanonicalContext) => Node;

/** Short forms to long forms; nothing after this sees `"80:80"`. Does nothing to what is long already. */
export function toCanonical(root: Node, context: CanonicalContext): Node {
  return walk(root, transforms, [], context);
}

function walk(node: Node, table: PathTable<Transform>, path: string[], context: CanonicalContext): Node {
  const changed = table.value === undefined ? node : table.value(node, path, context);
  if (table.any === undefined && table.keys.size === 0) return changed;
  return mapChildren(changed, (value, key) => {
    const next = step(table, key);
    if (next === undefined || (value.kind === "scalar" && next.value === undefined)) return value;
    path.push(key);
    const result = walk(value, next, path, context);
    path.pop();
    return result;
  });
}

function isText(node: Node): node is ScalarNode & { readonly value: string } {
  return node.kind === "scalar" && typeof node.value === "string";
}

/** The text of a short form, or undefined where the value is not one. */
function shortForm(make: (text: string, node: Node, path: TreePath, context: CanonicalContext) => Node): Transform {
  return (node, path, context) => (isText(node) ? keepHistory(make(node.value, node, path, context), node) : node);
}

function keepHistory(made: Node, from: Node): Node {
  return from.beats === undefined || made === from ? made : { ...made, beats: from.beats };
}

function complain(context: CanonicalContext, node: Node, path: TreePath, problem: string, expected: string): Node {
  if (context.uninterpolated) return node;
  const message = `${path.join(".")}: ${problem}`;
  context.report.error({ code: "short-syntax", message, path, at: node, expected });
  return node;
}

const asContext = shortForm((_text, node) => mapOf([["context", node]], node));
const asSource = shortForm((_text, node) => mapOf([["source", node]], node));
const asService = shortForm((_text, node) => mapOf([["service", node]], node));
const asList = shortForm((_text, node) => seq([{ ...node, beats: undefined }], node));
const asAllGpus = shortForm((_text, node) => seq([mapOf([["count", scalar("all", node)]], node)], node));

const asWord: Transform = (node) =>
  node.kind === "scalar" && typeof node.value !== "string" ? scalar(formatScalar(node.value, node.float), node) : node;

/** `KEY=VALUE` items to a map. */
const asPairs: Transform = (node, path, context) => {
  if (node.kind !== "seq") return node;
  const entries = new Map<string, Entry>();
  for (const [index, item] of node.items.entries()) {
    if (!isText(item)) return node;
    const at = item.value.indexOf("=");
    if (at === -1) {
      if (context.uninterpolated) return node;
      complain(context, item, [...path, String(index)], `"${item.value}" has no value`, "NAME=VALUE");
      continue;
    }
    entries.set(item.value.slice(0, at), entryOf(keepHistory(scalar(item.value.slice(at + 1), item), item)));
  }
  return map(entries, node);
};

const asSshKeys: Transform = (node, path, context) => {
  if (node.kind !== "seq") return node;
  const entries = new Map<string, Entry>();
  for (const [index, item] of node.items.entries()) {
    if (!isText(item)) return node;
    const at = item.value.indexOf("=");
    if (at === -1 && item.value !== "default") {
      complain(context, item, [...path, String(index)], `"${item.value}" is not an ssh key`, "default, or ID=PATH");
    }
    const id = at === -1 ? item.value : item.value.slice(0, at);
    entries.set(id, entryOf(at === -1 ? scalar(null, item) : scalar(item.value.slice(at + 1), item)));
  }
  return map(entries, node);
};

const asDependencies: Transform = (node) => {
  const entries = new Map<string, Entry>();
  if (node.kind === "seq") {
    for (const item of node.items) {
      if (!isText(item)) return node;
      entries.set(item.value, entryOf(withDependencyDefaults(map(new Map(), item))));
    }
    return map(entries, node);
  }
  return mapChildren(node, (value) => (value.kind === "map" ? withDependencyDefaults(value) : value));
};

function withDependencyDefaults(node: MapNode): MapNode {
  const conditioned = node.entries.has("condition")
    ? node
    : withKey(node, "condition", scalar("service_started", node));
  return conditioned.entries.has("required") ? conditioned : withKey(conditioned, "required", scalar(true, node));
}

const asEnvFiles: Transform = (node) => {
  const items = node.kind === "seq" ? node.items : isText(node) ? [node] : undefined;
  if (items === undefined) return node;
  const files = items.map((item) => {
    if (isText(item)) return keepHistory(withRequired(mapOf([["path", item]], item)), item);
    return item.kind === "map" ? withRequired(item) : item;
  });
  return seq(files, node);
};

function withRequired(node: MapNode): MapNode {
  return node.entries.has("required") ? node : withKey(node, "required", scalar(true, node));
}

/** Names to a map of nothing. */
const asNames: Transform = (node) => {
  if (node.kind !== "seq") return node;
  const entries = new Map<string, Entry>();
  for (const item of node.items) {
    if (!isText(item)) return node;
    entries.set(item.value, entryOf(scalar(null, item)));
  }
  return map(entries, node);
};

const asMount = shortForm((text, node, path, context) => {
  const spec = parseVolumeSpec(text);
  if (typeof spec === "string") {
    return complain(context, node, path, `"${text}": ${spec}`, "[SOURCE:]TARGET[:OPTIONS]");
  }
  for (const option of spec.unknown) {
    context.report.warning({
      code: "no-effect",
      message: `${path.join(".")}: option "${option}" has no effect`,
      path,
      at: node,
    });
  }
  const pairs: [string, Node][] = [["type", scalar(spec.type, node)]];
  const add = (key: string, value: string | boolean, into = pairs): void => {
    if (value !== "" && value !== false) into.push([key, scalar(value, node)]);
  };
  add("source", spec.source);
  add("target", cleanTarget(spec.target));
  add("read_only", spec.readOnly);
  const bind: [string, Node][] = [];
  add("selinux", spec.selinux, bind);
  add("propagation", spec.propagation, bind);
  add("create_host_path", spec.type === "bind", bind);
  if (spec.type === "bind" || bind.length > 0) pairs.push(["bind", mapOf(bind, node)]);
  const nocopy: [string, Node][] = spec.nocopy ? [["nocopy", scalar(true, node)]] : [];
  if (spec.kind === "options" && (spec.type === "volume" || spec.nocopy)) pairs.push(["volume", mapOf(nocopy, node)]);
  return mapOf(pairs, node);
});

const asDevice = shortForm((text, node, path, context) => {
  const parts = text.split(":");
  if (parts.length > 3)
    return complain(context, node, path, `"${text}" has too many parts`, "HOST[:CONTAINER[:PERMISSIONS]]");
  const [source = "", target = "", permissions = "rwm"] = parts;
  return mapOf(
    [
      ["source", scalar(source, node)],
      ["target", scalar(target === "" ? source : target, node)],
      ["permissions", scalar(permissions, node)],
    ],
    node,
  );
});

const asPorts: Transform = (node, path, context) => {
  if (node.kind !== "seq" || node.items.every((item) => item.kind === "map")) return node;
  const items: Node[] = [];
  for (const [index, item] of node.items.entries()) {
    if (item.kind === "map") {
      items.push(item);
      continue;
    }
    if (item.kind !== "scalar" || isNull(item)) return node;
    const itemPath = [...path, String(index)];
    const wrong = item.float || typeof item.value === "boolean";
    const ports = wrong ? `${formatScalar(item.value, item.float)} is not a port` : parsePortSpec(String(item.value));
    if (typeof ports === "string") {
      if (context.uninterpolated) return node;
      complain(context, item, itemPath, ports, "[IP:][HOST:]CONTAINER[/PROTOCOL]");
    } else {
      items.push(...ports.map((port) => keepHistory(portNode(port, item), item)));
    }
  }
  return seq(items, node);
};

function portNode(port: { hostIp: string; target: number; published: string; protocol: string }, at: Node): Node {
  const pairs: [string, Node][] = [
    ["mode", scalar("ingress", at)],
    ["protocol", scalar(port.protocol, at)],
  ];
  // A zero is no target, and refused for that: what Docker Compose leaves out of the long form when it is empty.
  if (port.target !== 0) pairs.push(["target", scalar(port.target, at)]);
  if (port.hostIp !== "") pairs.push(["host_ip", scalar(port.hostIp, at)]);
  if (port.published !== "") pairs.push(["published", scalar(port.published, at)]);
  return mapOf(pairs, at);
}

const limit: Transform = (node, path, context) => {
  const fits = node.kind === "map" || (node.kind === "scalar" && typeof node.value === "number" && !node.float);
  return fits ? node : complain(context, node, path, "is not a limit", "an integer, or a map with soft and hard");
};

/** `external: {name: x}`, which predates `name:` beside `external: true`. */
const withExternal: Transform = (node, path, context) => {
  const external = node.kind === "map" ? node.entries.get("external") : undefined;
  if (node.kind !== "map" || external?.value.kind !== "map") return node;
  const name = external.value.entries.get("name")?.value;
  const plain = withKey(node, "external", scalar(true, external.value));
  if (name === undefined) return plain;
  const at = external.value;
  const shown = path.join(".");
  const suggestion = "write `name: ...` and `external: true`";
  context.report.warning({
    code: "deprecated",
    message: `${shown}: external.name is deprecated`,
    path,
    at,
    suggestion,
  });
  const own = node.entries.get("name")?.value;
  if (own === undefined) return withKey(plain, "name", name);
  if (own.kind === "scalar" && name.kind === "scalar" && own.value === name.value) return plain;
  return complain(context, node, path, "name and external.name differ", "name alone");
};

const transforms = pathTable<Transform>([
  ["services.*.build", asContext],
  ["services.*.build.secrets.*", asSource],
  ["services.*.build.provenance", asWord],
  ["services.*.build.sbom", asWord],
  ["services.*.build.additional_contexts", asPairs],
  ["services.*.build.ssh", asSshKeys],
  ["services.*.build.ulimits.*", limit],
  ["services.*.depends_on", asDependencies],
  ["services.*.env_file", asEnvFiles],
  ["services.*.label_file", asList],
  ["services.*.extends", asService],
  ["services.*.gpus", asAllGpus],
  ["services.*.networks", asNames],
  ["services.*.models", asNames],
  ["services.*.volumes.*", asMount],
  ["services.*.dns", asList],
  ["services.*.devices.*", asDevice],
  ["services.*.secrets.*", asSource],
  ["services.*.configs.*", asSource],
  ["services.*.ports", asPorts],
  ["services.*.ulimits.*", limit],
  ["services.*.develop.watch.*.ignore", asList],
  ["services.*.develop.watch.*.include", asList],
  ["volumes.*", withExternal],
  ["networks.*", withExternal],
  ["secrets.*", withExternal],
  ["configs.*", withExternal],
]);

/** `dns` forgets empty entries. */
export function omitEmptyDns(root: Node): Node {
  return mapChildren(root, (services, section) =>
    section !== "services"
      ? services
      : mapChildren(services, (service) =>
          mapChildren(service, (value, key) =>
            key === "dns" && value.kind === "seq"
              ? mapChildren(value, (item) =>
                  item.kind === "scalar" && (item.value === "" || isNull(item)) ? undefined : item,
                )
              : value,
          ),
        ),
  );
}
