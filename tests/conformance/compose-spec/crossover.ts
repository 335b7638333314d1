/** Compose projects bred from real ones: services of one file with values that others have under the same key, an override
 *  file made of a third. */
import { stringify } from "yaml";

import type { Project } from "./oracle.ts";
import type { Random } from "./random.ts";

type Tree = { readonly [key: string]: unknown };
const isTree = (value: unknown): value is Tree => typeof value === "object" && value !== null && !Array.isArray(value);

/** What a breed is made of. */
export interface Stock {
  readonly documents: readonly Tree[];
  /** Values by the path they have, names of services, volumes and networks left out: `services.*.ports`. */
  readonly values: ReadonlyMap<string, readonly unknown[]>;
}

/** Keys that name other files: the files are not there. */
const elsewhere = new Set(["env_file", "extends", "include", "label_file"]);
const named = new Set(["services", "volumes", "networks", "secrets", "configs", "models"]);

export function makeStock(documents: readonly unknown[]): Stock {
  const trees = documents.filter((one) => isTree(one)).map((one) => without(one, elsewhere) as Tree);
  const values = new Map<string, unknown[]>();
  const visit = (value: unknown, path: readonly string[]): void => {
    if (path.length > 0) values.set(path.join("."), [...(values.get(path.join(".")) ?? []), value]);
    if (Array.isArray(value)) for (const item of value) visit(item, [...path, "[]"]);
    else if (isTree(value)) {
      const names = path.length === 1 && named.has(path[0] ?? "");
      for (const [key, inner] of Object.entries(value)) visit(inner, [...path, names ? "*" : key]);
    }
  };
  for (const tree of trees) visit(tree, []);
  return { documents: trees.filter((tree) => isTree(tree["services"])), values };
}

function without(value: unknown, keys: ReadonlySet<string>): unknown {
  if (Array.isArray(value)) return value.map((item) => without(item, keys));
  if (!isTree(value)) return value;
  const kept = Object.entries(value).filter(([key]) => !keys.has(key));
  return Object.fromEntries(kept.map(([key, inner]) => [key, without(inner, keys)]));
}

export function breed(stock: Stock, random: Random): Project {
  const main = random.pick(stock.documents);
  const other = random.pick(stock.documents);
  const names = Object.keys(main["services"] as Tree);
  const files: Record<string, string> = { "compose.yaml": stringify(change(main, stock, random)) };
  const environment = { HOME: "/nonexistent", TAG: "1.2", EMPTY: "" };
  if (random.chance(0.6)) {
    // The override's services take the names of the first file's, or nothing would be merged.
    const services = Object.values(other["services"] as Tree).map((value, at) => [names[at] ?? `more${at}`, value]);
    const override = change({ ...other, services: Object.fromEntries(services) }, stock, random);
    files["compose.override.yaml"] = stringify(override);
  }
  return { files, args: random.chance(0.3) ? ["--profile", "*"] : [], environment };
}

/** Some values replaced by ones of the same place in other files, taken away, or written another way. */
function change(tree: Tree, stock: Stock, random: Random): unknown {
  const visit = (value: unknown, path: readonly string[]): unknown => {
    const place = path.join(".");
    if (path.length > 2 && random.chance(0.1)) return random.pick(stock.values.get(place) ?? [value]);
    if (path.length > 2 && random.chance(0.04)) return oddly(value, random);
    if (Array.isArray(value)) {
      const items = value.map((item) => visit(item, [...path, "[]"]));
      return random.chance(0.03) && items.length > 0 ? [...items, items[0]] : items;
    }
    if (!isTree(value)) return value;
    const names = path.length === 1 && named.has(path[0] ?? "");
    const entries = Object.entries(value)
      .filter(() => path.length < 2 || !random.chance(0.03))
      .map(([key, inner]) => [key, visit(inner, [...path, names ? "*" : key])] as const);
    const result = Object.fromEntries(entries);
    if (path.length !== 2 || !random.chance(0.3)) return result;
    const siblings = [...stock.values.keys()].filter(
      (one) => one.startsWith(`${place}.`) && !one.slice(place.length + 1).includes("."),
    );
    const added = siblings.length === 0 ? undefined : random.pick(siblings);
    return added === undefined
      ? result
      : { ...result, [added.slice(place.length + 1)]: random.pick(stock.values.get(added) ?? []) };
  };
  return visit(tree, []);
}

function oddly(value: unknown, random: Random): unknown {
  if (Array.isArray(value)) return random.pick<unknown>([[], null, value[0], { a: "b" }]);
  if (isTree(value))
    return random.pick<unknown>([{}, null, [], Object.entries(value).map(([key, inner]) => `${key}=${String(inner)}`)]);
  return random.pick<unknown>([
    null,
    String(value),
    "",
    `\${TAG:-${String(value)}}`,
    `\${EMPTY:-x}`,
    0,
    -1,
    true,
    "true",
    1.5,
    "10s",
    "1gb",
    [value],
    ` ${String(value)} `,
  ]);
}
