import type { SourceFile, Span } from "./source.ts";

/** The untyped tree that every phase before binding works on. Nodes are never changed once made: a phase returns the same
 *  node or a new one, so trees share what they have in common, and a position survives merge, extends and include. */
export type Node = ScalarNode | MapNode | SeqNode;

export type ScalarValue = string | number | bigint | boolean | null;

interface Placed {
  readonly file: SourceFile;
  readonly start: number;
  readonly end: number;
  /** The values this one took the place of, newest first. */
  readonly beats: readonly Node[] | undefined;
  /** `!reset` or `!override`; gone once the resets have been gathered. */
  readonly tag: "!reset" | "!override" | undefined;
}

export interface ScalarNode extends Placed {
  readonly kind: "scalar";
  readonly value: ScalarValue;
  /** A number that YAML read as floating point, even if it is whole. */
  readonly float: boolean;
  /** The text before interpolation, where interpolation changed it. */
  readonly written: string | undefined;
}

export interface MapNode extends Placed {
  readonly kind: "map";
  readonly entries: ReadonlyMap<string, Entry>;
}

export interface Entry {
  readonly keyStart: number;
  readonly keyEnd: number;
  /** The key may stand in another file than the value, after a merge. */
  readonly keyFile: SourceFile;
  readonly value: Node;
}

export interface SeqNode extends Placed {
  readonly kind: "seq";
  readonly items: readonly Node[];
}

/** Keys and list indices from the root. */
export type TreePath = readonly string[];

export function scalar(value: ScalarValue, span: Span, float = false): ScalarNode {
  return {
    kind: "scalar",
    value,
    float,
    written: undefined,
    file: span.file,
    start: span.start,
    end: span.end,
    beats: undefined,
    tag: undefined,
  };
}

export function map(entries: ReadonlyMap<string, Entry>, span: Span): MapNode {
  return { kind: "map", entries, file: span.file, start: span.start, end: span.end, beats: undefined, tag: undefined };
}

export function seq(items: readonly Node[], span: Span): SeqNode {
  return { kind: "seq", items, file: span.file, start: span.start, end: span.end, beats: undefined, tag: undefined };
}

/** An entry whose key has no place of its own: it stands where its value stands. */
export function entryOf(value: Node, keySpan: Span = value): Entry {
  return { keyStart: keySpan.start, keyEnd: keySpan.end, keyFile: keySpan.file, value };
}

export function keySpan(entry: Entry): Span {
  return { file: entry.keyFile, start: entry.keyStart, end: entry.keyEnd };
}

/** A map made of plain pairs, all placed at `span`. */
export function mapOf(pairs: Iterable<readonly [string, Node]>, span: Span): MapNode {
  const entries = new Map<string, Entry>();
  for (const [key, value] of pairs) entries.set(key, entryOf(value));
  return map(entries, span);
}

// Nodes are copied field by field, in the order they are made in: there are many of them, and a spread costs several times as
// much and makes objects of another shape.

export function withEntries(node: MapNode, entries: ReadonlyMap<string, Entry>): MapNode {
  const { file, start, end, beats, tag } = node;
  return { kind: "map", entries, file, start, end, beats, tag };
}

export function withItems(node: SeqNode, items: readonly Node[]): SeqNode {
  const { file, start, end, beats, tag } = node;
  return { kind: "seq", items, file, start, end, beats, tag };
}

/** The scalar with another value; `written` is its text before interpolation. */
export function withScalar(
  node: ScalarNode,
  value: ScalarValue,
  float: boolean,
  written: string | undefined,
): ScalarNode {
  const { file, start, end, beats, tag } = node;
  return { kind: "scalar", value, float, written, file, start, end, beats, tag };
}

export function withValue(entry: Entry, value: Node): Entry {
  return { keyStart: entry.keyStart, keyEnd: entry.keyEnd, keyFile: entry.keyFile, value };
}

/** The map with one key set; a new key goes to the end. */
export function withKey(node: MapNode, key: string, value: Node, at?: Span): MapNode {
  const entries = new Map(node.entries);
  const old = entries.get(key);
  entries.set(key, old === undefined ? entryOf(value, at) : withValue(old, value));
  return withEntries(node, entries);
}

export function withoutKey(node: MapNode, key: string): MapNode {
  if (!node.entries.has(key)) return node;
  const entries = new Map(node.entries);
  entries.delete(key);
  return withEntries(node, entries);
}

/** The winner, knowing what it beat. */
export function beating(winner: Node, loser: Node): Node {
  if (winner === loser) return winner;
  return { ...winner, beats: [...(winner.beats ?? []), loser, ...(loser.beats ?? [])] };
}

export function child(node: Node | undefined, key: string): Node | undefined {
  return node?.kind === "map" ? node.entries.get(key)?.value : undefined;
}

export function stringAt(node: Node | undefined, key: string): string | undefined {
  const value = child(node, key);
  return value?.kind === "scalar" && typeof value.value === "string" ? value.value : undefined;
}

export function isNull(node: Node | undefined): boolean {
  return node?.kind === "scalar" && node.value === null;
}

export function locate(root: Node, path: TreePath): Node | undefined {
  let node: Node | undefined = root;
  for (const step of path) {
    if (node?.kind === "map") node = node.entries.get(step)?.value;
    else if (node?.kind === "seq") node = node.items[Number(step)];
    else return undefined;
  }
  return node;
}

/** The node nearest to `path` that exists: for a message about something that is not there. */
export function nearest(root: Node, path: TreePath): Node {
  let node = root;
  for (const step of path) {
    const next: Node | undefined = locate(node, [step]);
    if (next === undefined) return node;
    node = next;
  }
  return node;
}

/** Every child replaced by what `change` returns; undefined takes it out. The node itself when nothing changed. */
export function mapChildren(node: Node, change: (value: Node, key: string) => Node | undefined): Node {
  if (node.kind === "scalar") return node;
  return node.kind === "seq" ? mapItems(node, change) : mapEntries(node, change);
}

function mapItems(node: SeqNode, change: (value: Node, key: string) => Node | undefined): SeqNode {
  let items: Node[] | undefined;
  for (let index = 0; index < node.items.length; index++) {
    const item = node.items[index] as Node;
    const changed = change(item, String(index));
    if (changed !== item) items ??= node.items.slice(0, index);
    if (items !== undefined && changed !== undefined) items.push(changed);
  }
  return items === undefined ? node : withItems(node, items);
}

function mapEntries(node: MapNode, change: (value: Node, key: string) => Node | undefined): MapNode {
  let entries: Map<string, Entry> | undefined;
  for (const [key, entry] of node.entries) {
    const changed = change(entry.value, key);
    if (changed === entry.value) continue;
    entries ??= new Map(node.entries);
    if (changed === undefined) entries.delete(key);
    else entries.set(key, withValue(entry, changed));
  }
  return entries === undefined ? node : withEntries(node, entries);
}

export type Plain = ScalarValue | readonly Plain[] | { readonly [key: string]: Plain };

/** Plain data; maps become objects without a prototype. */
export function toPlain(node: Node): Plain {
  if (node.kind === "scalar") return node.value;
  if (node.kind === "seq") return node.items.map(toPlain);
  const plain = Object.create(null) as Record<string, Plain>;
  for (const [key, entry] of node.entries) plain[key] = toPlain(entry.value);
  return plain;
}
