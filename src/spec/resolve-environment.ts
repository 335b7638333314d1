import { child, entryOf, mapChildren, scalar, withEntries, withKey } from "./tree.ts";
import type { Entry, Node, ScalarNode, SeqNode } from "./tree.ts";

type Lookup = (name: string) => string | undefined;

/** Where the content of a secret from the environment is kept until it is bound; no user key can be called so. */
export const secretContentKey = "x-#value";

/** `- NAME` in a service's environment, and secrets and configs from the environment, answered from the environment of the
 *  file they stand in: for an included file, that of the include. Map form (`NAME:`) is left to `normalize`. */
export function resolveEnvironment(root: Node, lookup: Lookup): Node {
  return mapChildren(root, (section, name) => {
    if (name === "services") return mapChildren(section, (service) => resolveService(service, lookup));
    if (name === "secrets") return mapChildren(section, (secret) => withContent(secret, secretContentKey, lookup));
    if (name === "configs") return mapChildren(section, (config) => withContent(config, "content", lookup));
    return section;
  });
}

function resolveService(service: Node, lookup: Lookup): Node {
  const environment = child(service, "environment");
  if (service.kind !== "map" || environment?.kind !== "seq") return service;
  const resolved = resolveItems(environment, lookup);
  return resolved === environment ? service : withKey(service, "environment", resolved);
}

function resolveItems(items: SeqNode, lookup: Lookup): Node {
  return mapChildren(items, (item) => (item.kind === "scalar" ? (answered(item, lookup) ?? item) : item));
}

function answered(item: ScalarNode, lookup: Lookup): Node | undefined {
  if (typeof item.value !== "string") return undefined;
  const value = lookup(item.value);
  return value === undefined ? undefined : { ...item, value: `${item.value}=${value}`, written: item.value };
}

function withContent(node: Node, key: string, lookup: Lookup): Node {
  const source = child(node, "environment");
  if (node.kind !== "map" || source?.kind !== "scalar" || typeof source.value !== "string") return node;
  const value = lookup(source.value);
  return value === undefined ? node : withKey(node, key, { ...scalar(value, source), written: source.value });
}

/** Variables without a value (`NAME:` or `- NAME`) answered from the project's environment. `keep`: those without an answer
 *  stay, as variables to take out of the image's environment. */
export function answerVariables(node: Node, lookup: Lookup, keep: boolean): Node {
  if (node.kind === "seq") {
    return mapChildren(node, (item) => {
      const named = item.kind === "scalar" && typeof item.value === "string" && !item.value.includes("=");
      return named ? (answered(item, lookup) ?? (keep ? item : undefined)) : item;
    });
  }
  if (node.kind !== "map") return node;
  let entries: Map<string, Entry> | undefined;
  for (const [key, entry] of node.entries) {
    if (entry.value.kind !== "scalar" || entry.value.value !== null) continue;
    const value = lookup(key);
    if (value === undefined && keep) continue;
    entries ??= new Map(node.entries);
    const place = { file: entry.keyFile, start: entry.keyStart, end: entry.keyEnd };
    if (value === undefined) entries.delete(key);
    else entries.set(key, entryOf({ ...scalar(value, place), written: key, beats: entry.value.beats }, place));
  }
  return entries === undefined ? node : withEntries(node, entries);
}
