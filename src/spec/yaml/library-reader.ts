import type {
  Alias,
  Document,
  Node as YamlNode,
  Pair,
  Scalar,
  YAMLError,
  YAMLMap,
  YAMLSeq,
  isAlias,
  isMap,
  isScalar,
  isSeq,
  parseAllDocuments,
} from "yaml";

import { maxDepth, maxNodes } from "../limits.ts";
import type { Report } from "../report.ts";
import { resolvePlain } from "../scalar.ts";
import { lineAndColumn } from "../source.ts";
import type { SourceFile, Span } from "../source.ts";
import { map, scalar, seq } from "../tree.ts";
import type { Entry, MapNode, Node, ScalarNode } from "../tree.ts";
import { foldMergeKey } from "./merge-key.ts";

/** The `yaml` package, handed in: loading it takes longer than reading most compose files, so it is loaded only when needed. */
export interface YamlLibrary {
  readonly parseAllDocuments: typeof parseAllDocuments;
  readonly isAlias: typeof isAlias;
  readonly isMap: typeof isMap;
  readonly isScalar: typeof isScalar;
  readonly isSeq: typeof isSeq;
}

interface Reading {
  readonly library: YamlLibrary;
  readonly file: SourceFile;
  readonly report: Report;
  readonly document: Document;
  readonly open: Set<YamlNode>;
  nodes: number;
}

/** Reads with the `yaml` package and reports every problem. Undefined after an error. One node per document. */
export function readWithLibrary(library: YamlLibrary, file: SourceFile, report: Report): Node[] | undefined {
  const parsed = library.parseAllDocuments(file.text, {
    schema: "failsafe",
    version: "1.2",
    uniqueKeys: false,
    strict: true,
    prettyErrors: false,
    logLevel: "silent",
  });
  const before = report.errors;
  const documents: Node[] = [];
  for (const document of Array.isArray(parsed) ? parsed : []) {
    for (const error of document.errors) reportSyntax(library, document, file, report, error);
    if (document.errors.length > 0) continue;
    const reading: Reading = { library, file, report, document, open: new Set(), nodes: 0 };
    const contents = document.contents;
    const node = contents === null ? nothing(file, document.range[0]) : convert(reading, contents, []);
    if (node !== undefined) documents.push(node);
  }
  if (documents.length === 0 && report.errors === before) documents.push(nothing(file, 0));
  return report.errors > before ? undefined : documents;
}

function nothing(file: SourceFile, at: number): ScalarNode {
  return scalar(null, { file, start: at, end: at });
}

function reportSyntax(
  library: YamlLibrary,
  document: Document,
  file: SourceFile,
  report: Report,
  error: YAMLError,
): void {
  const [start, end] = error.pos;
  const tab = file.text[start] === "\t" || /tab/i.test(error.message);
  const opening = openingBefore(library, document.contents, start, file);
  const message = lowerFirst(error.message.replace(/\.$/, ""));
  if (opening !== undefined) {
    const { line } = lineAndColumn(file, start);
    report.error({
      code: "yaml-syntax",
      message: `not valid YAML: what begins here does not end where it should (at line ${String(line)}: ${message})`,
      at: { file, start: opening, end: opening + 1 },
      suggestion: "look for a missing closing quote or bracket",
    });
    return;
  }
  report.error({
    code: "yaml-syntax",
    message: `not valid YAML: ${message}`,
    at: { file, start, end: Math.max(end, start + 1) },
    suggestion: tab ? "indent with spaces, not with tabs" : undefined,
  });
}

/** A quote or bracket that opened on an earlier line and reaches to where the reading failed: the slip is where it opened. The
 *  outermost such, for inside it everything is off. */
function openingBefore(library: YamlLibrary, node: unknown, at: number, file: SourceFile): number | undefined {
  if (typeof node !== "object" || node === null) return undefined;
  if ("key" in node && !("range" in node)) {
    const pair = node as Pair;
    return openingBefore(library, pair.key, at, file) ?? openingBefore(library, pair.value, at, file);
  }
  const { range } = node as YamlNode;
  if (range === undefined || range === null || range[0] > at || range[2] + 1 < at) return undefined;
  const quoted = library.isScalar(node) && (node.type === "QUOTE_DOUBLE" || node.type === "QUOTE_SINGLE");
  const bracketed = (library.isMap(node) || library.isSeq(node)) && node.flow === true;
  if ((quoted || bracketed) && file.text.slice(range[0], at).includes("\n")) return range[0];
  if (!library.isMap(node) && !library.isSeq(node)) return undefined;
  for (const item of node.items) {
    const found = openingBefore(library, item, at, file);
    if (found !== undefined) return found;
  }
  return undefined;
}

function lowerFirst(text: string): string {
  return text.slice(0, 1).toLowerCase() + text.slice(1);
}

function spanOf(reading: Reading, node: YamlNode): Span {
  const range = node.range;
  return { file: reading.file, start: range?.[0] ?? 0, end: range?.[1] ?? 0 };
}

function convert(reading: Reading, node: YamlNode, path: readonly string[]): Node | undefined {
  const span = spanOf(reading, node);
  if (++reading.nodes > maxNodes) {
    if (reading.nodes === maxNodes + 1) {
      reading.report.error({
        code: "too-large",
        message: `more than ${String(maxNodes)} values once aliases are expanded`,
        path,
        at: span,
        suggestion: "split the file, or check its aliases: each use of one counts as a copy",
      });
    }
    return undefined;
  }
  if (path.length > maxDepth) {
    reading.report.error({ code: "too-large", message: `nested more than ${String(maxDepth)} levels deep`, at: span });
    return undefined;
  }
  if (reading.library.isAlias(node)) return convertAlias(reading, node, path);
  if (reading.open.has(node)) {
    reading.report.error({ code: "yaml-alias", message: "an alias leads back to the value it is in", path, at: span });
    return undefined;
  }
  reading.open.add(node);
  const converted = reading.library.isMap(node)
    ? convertMap(reading, node, path)
    : reading.library.isSeq(node)
      ? convertSeq(reading, node, path)
      : convertScalar(reading, node as Scalar, path);
  reading.open.delete(node);
  return converted === undefined ? undefined : tagged(node, converted);
}

function tagged(node: YamlNode, converted: Node): Node {
  return node.tag === "!reset" || node.tag === "!override" ? { ...converted, tag: node.tag } : converted;
}

function convertAlias(reading: Reading, alias: Alias, path: readonly string[]): Node | undefined {
  const target = alias.resolve(reading.document);
  if (target === undefined) {
    const at = spanOf(reading, alias);
    reading.report.error({
      code: "yaml-alias",
      message: `no anchor named "${alias.source}" before this alias`,
      path,
      at,
    });
    return undefined;
  }
  if (reading.open.has(target)) {
    const at = spanOf(reading, alias);
    reading.report.error({
      code: "yaml-alias",
      message: `alias "${alias.source}" leads back to the value it is in`,
      path,
      at,
    });
    return undefined;
  }
  return convert(reading, target, path);
}

function convertSeq(reading: Reading, node: YAMLSeq, path: readonly string[]): Node | undefined {
  const items: Node[] = [];
  for (const [index, item] of node.items.entries()) {
    const converted = convertItem(reading, item as YamlNode | Pair | null, [...path, String(index)], node);
    if (converted !== undefined) items.push(converted);
  }
  return seq(items, spanOf(reading, node));
}

function convertItem(
  reading: Reading,
  item: YamlNode | Pair | null,
  path: readonly string[],
  parent: YamlNode,
): Node | undefined {
  if (item === null) return nothing(reading.file, spanOf(reading, parent).start);
  // `[a: b]` holds a pair where a map is meant.
  if ("key" in item && !("range" in item)) {
    const entries = new Map<string, Entry>();
    convertPair(reading, item, path, entries);
    return map(entries, spanOf(reading, parent));
  }
  return convert(reading, item as YamlNode, path);
}

function convertMap(reading: Reading, node: YAMLMap, path: readonly string[]): MapNode | undefined {
  const entries = new Map<string, Entry>();
  let merged: Node | undefined;
  for (const pair of node.items) {
    const found = convertPair(reading, pair, path, entries);
    if (found === undefined) continue;
    if (merged !== undefined) reportDuplicate(reading, "<<", pair.key as YamlNode, path);
    merged = found;
  }
  const own = map(entries, spanOf(reading, node));
  if (merged === undefined) return own;
  const folded = foldMergeKey(own, merged);
  if (folded === undefined) {
    reading.report.error({ code: "yaml-alias", message: "`<<` takes a map or a list of maps", path, at: merged });
  }
  return folded;
}

/** Adds the pair to `entries`; the value of a merge key is returned instead. */
function convertPair(
  reading: Reading,
  pair: Pair,
  path: readonly string[],
  entries: Map<string, Entry>,
): Node | undefined {
  const keyNode = pair.key as YamlNode | null;
  const keyAt = keyNode === null ? undefined : spanOf(reading, keyNode);
  const key = keyNode === null ? undefined : keyText(reading, keyNode);
  if (key === undefined || keyAt === undefined) {
    const shown = keyNode !== null && reading.library.isScalar(keyNode) ? String(keyNode.value) : "";
    reading.report.error({
      code: "yaml-key",
      message: `non-string key ${path.length === 0 ? "at top level" : `in ${path.join(".")}`}: ${shown}`,
      path,
      at: keyAt ?? (pair.value === null ? undefined : spanOf(reading, pair.value as YamlNode)),
      expected: "text as key",
      suggestion: shown === "" ? undefined : `write "${shown}" in quotes`,
    });
    return undefined;
  }
  const inner = pair.value as YamlNode | null;
  const value = inner === null ? nothing(reading.file, keyAt.end) : convert(reading, inner, [...path, key]);
  if (value === undefined) return undefined;
  if (key === "<<" && (keyNode as Scalar).type === "PLAIN") return value;
  const first = entries.get(key);
  if (first !== undefined) reportDuplicate(reading, key, keyNode as YamlNode, path, first.keyStart);
  entries.set(key, { keyStart: keyAt.start, keyEnd: keyAt.end, keyFile: reading.file, value });
  return undefined;
}

function reportDuplicate(reading: Reading, key: string, node: YamlNode, path: readonly string[], first?: number): void {
  const earlier = first === undefined ? "" : `, first at line ${String(lineAndColumn(reading.file, first).line)}`;
  reading.report.error({
    code: "yaml-duplicate-key",
    message: `key "${key}" is given twice${path.length === 0 ? "" : ` in ${path.join(".")}`}${earlier}`,
    path: [...path, key],
    at: spanOf(reading, node),
    suggestion: "keep one of the two",
  });
}

function keyText(reading: Reading, node: YamlNode): string | undefined {
  const target = reading.library.isAlias(node) ? node.resolve(reading.document) : node;
  if (!reading.library.isScalar(target)) return undefined;
  const text = typeof target.value === "string" ? target.value : "";
  if (target.type !== "PLAIN") return text;
  return typeof resolvePlain(text).value === "string" ? text : undefined;
}

function convertScalar(reading: Reading, node: Scalar, path: readonly string[]): Node | undefined {
  const span = spanOf(reading, node);
  const text = blockText(reading, node, typeof node.value === "string" ? node.value : "");
  const tag = node.tag?.replace("tag:yaml.org,2002:", "!!");
  if (tag === "!!str") return scalar(text, span);
  const plain = node.type === undefined || node.type === "PLAIN";
  const tagForces = tag !== undefined && ["!!int", "!!float", "!!bool", "!!null"].includes(tag);
  if (!plain && !tagForces) return scalar(tag === "!!binary" ? decodeBase64(text) : text, span);
  if (tag === "!!binary") return scalar(decodeBase64(text), span);
  const resolved = tag !== undefined && !tagForces && !tag.startsWith("!!") ? undefined : resolvePlain(text);
  if (resolved === undefined) {
    return node.tag === "!reset" || node.tag === "!override" ? plainScalar(text, span) : scalar(text, span);
  }
  if (tagForces && tagOf(resolved.value, resolved.float) !== tag) {
    const fits = tag === "!!float" && typeof resolved.value === "number";
    if (fits) return scalar(resolved.value, span, true);
    reading.report.error({ code: "yaml-syntax", message: `"${text}" is not a ${tag.slice(2)}`, path, at: span });
    return undefined;
  }
  return scalar(resolved.value, span, resolved.float);
}

/** A block scalar that the file ends in, without a line end, has none either; the library gives it one. */
function blockText(reading: Reading, node: Scalar, text: string): string {
  const isBlock = node.type === "BLOCK_LITERAL" || node.type === "BLOCK_FOLDED";
  const source = reading.file.text;
  const reachesEnd = (node.range?.[1] ?? 0) >= source.length && !source.endsWith("\n");
  return isBlock && reachesEnd && text.endsWith("\n") ? text.slice(0, -1) : text;
}

function plainScalar(text: string, span: Span): Node {
  const resolved = resolvePlain(text);
  return scalar(resolved.value, span, resolved.float);
}

function tagOf(value: unknown, float: boolean): string {
  if (value === null) return "!!null";
  if (typeof value === "boolean") return "!!bool";
  if (typeof value === "number" || typeof value === "bigint") return float ? "!!float" : "!!int";
  return "!!str";
}

function decodeBase64(text: string): string {
  return new TextDecoder().decode(
    Uint8Array.from(atob(text.replace(/\s/g, "")), (character) => character.charCodeAt(0)),
  );
}
