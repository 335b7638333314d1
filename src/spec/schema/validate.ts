import type { DiagnosticCode } from "../diagnostic.ts";
import { nearestName } from "../near-miss.ts";
import type { Report } from "../report.ts";
import type { Span } from "../source.ts";
import { isNull, keySpan, toPlain } from "../tree.ts";
import type { Entry, MapNode, Node, ScalarNode, SeqNode, TreePath } from "../tree.ts";
import { composeSchema } from "./generated.ts";
import type { JsonSchema, JsonType } from "./json-schema.ts";

/** Holds the tree against the schema and reports everything that does not fit. Interprets the generated JSON Schema: building
 *  the zod schema it comes from would cost more than reading most compose files. */
export function validateTree(root: Node, report: Report): void {
  check(composeSchema, root, [], undefined, report);
}

const compiled = new Map<string, RegExp>();

function regex(pattern: string): RegExp {
  let made = compiled.get(pattern);
  if (made === undefined) compiled.set(pattern, (made = new RegExp(pattern, "u")));
  return made;
}

interface KeyPattern {
  readonly pattern: RegExp;
  /** Undefined: whatever stands there is fine. */
  readonly schema: JsonSchema | undefined;
}

const keyPatterns = new WeakMap<JsonSchema, readonly KeyPattern[]>();

function patternsOf(schema: JsonSchema): readonly KeyPattern[] {
  let found = keyPatterns.get(schema);
  if (found === undefined) {
    found = Object.entries(schema.patternProperties ?? {}).map(([pattern, inner]) => {
      return { pattern: regex(pattern), schema: Object.keys(inner).length === 0 ? undefined : inner };
    });
    keyPatterns.set(schema, found);
  }
  return found;
}

const flattened = new WeakMap<readonly JsonSchema[], readonly JsonSchema[]>();

/** `entry`: where the value has a key; a value that is not there has no place of its own. */
function check(schema: JsonSchema, node: Node, path: string[], entry: Entry | undefined, report: Report): void {
  const resolved = resolve(schema);
  if (resolved.anyOf !== undefined) {
    checkUnion(resolved.anyOf, node, path, entry, report);
    return;
  }
  if (resolved.type !== undefined && !fits(resolved.type, node)) {
    reportType(typesOf(resolved), node, path, entry, report);
    return;
  }
  if (node.kind === "map") checkMap(resolved, node, path, report);
  else if (node.kind === "seq") checkSeq(resolved, node, path, report);
  else checkScalar(resolved, node, path, report);
}

function resolve(schema: JsonSchema): JsonSchema {
  let resolved = schema;
  while (resolved.$ref !== undefined) {
    const next: JsonSchema | undefined = composeSchema.$defs?.[resolved.$ref.slice("#/$defs/".length)];
    if (next === undefined) throw new Error(`schema refers to ${resolved.$ref}, which is not there`);
    resolved = next;
  }
  return resolved;
}

function fits(type: JsonType | readonly JsonType[], node: Node): boolean {
  return typeof type === "string" ? fitsOne(type, node) : type.some((one) => fitsOne(one, node));
}

function fitsOne(type: JsonType, node: Node): boolean {
  if (node.kind === "map") return type === "object";
  if (node.kind === "seq") return type === "array";
  const { value } = node;
  const kind = typeof value;
  if (value === null) return type === "null";
  switch (kind as "string" | "boolean" | "bigint" | "number") {
    case "string":
      return type === "string";
    case "boolean":
      return type === "boolean";
    case "bigint":
      return type === "number" || type === "integer";
    case "number":
      return Number.isFinite(value) && (type === "number" || (type === "integer" && Number.isInteger(value)));
  }
}

/** The branches differ in kind, so the one that the value could have been meant for speaks for the whole. */
function checkUnion(
  branches: readonly JsonSchema[],
  node: Node,
  path: string[],
  entry: Entry | undefined,
  report: Report,
): void {
  const flat = flatten(branches);
  const branch = flat.find((one) => one.type === undefined || fits(one.type, node));
  if (branch === undefined) reportType(flat.flatMap(typesOf), node, path, entry, report);
  else check(branch, node, path, entry, report);
}

function flatten(branches: readonly JsonSchema[]): readonly JsonSchema[] {
  const known = flattened.get(branches);
  if (known !== undefined) return known;
  const flat = branches.flatMap((branch) => {
    const resolved = resolve(branch);
    return resolved.anyOf === undefined ? [resolved] : flatten(resolved.anyOf);
  });
  flattened.set(branches, flat);
  return flat;
}

function typesOf(schema: JsonSchema): readonly JsonType[] {
  return schema.type === undefined ? [] : typeof schema.type === "string" ? [schema.type] : schema.type;
}

const words: Readonly<Record<JsonType, string>> = {
  string: "text",
  number: "a number",
  integer: "an integer",
  boolean: "true or false",
  null: "nothing",
  object: "a map",
  array: "a list",
};

function reportType(
  types: readonly JsonType[],
  node: Node,
  path: TreePath,
  entry: Entry | undefined,
  report: Report,
): void {
  const expected = orList([...new Set(types)].map((type) => words[type]));
  const code: DiagnosticCode = "wrong-type";
  const message = `${path.join(".")} must be ${expected}, not ${describe(node)}`;
  const isThere = !isNull(node) && node.start !== node.end;
  const place = isThere || entry === undefined ? node : keySpan(entry);
  report.error({ code, message, path, at: place, expected, suggestion: suggestType(types, node) });
}

export function orList(words: readonly string[]): string {
  return words.length < 2 ? words.join("") : `${words.slice(0, -1).join(", ")} or ${words.at(-1) ?? ""}`;
}

export function describe(node: Node): string {
  if (node.kind === "map") return "a map";
  if (node.kind === "seq") return "a list";
  if (node.value === null) return "empty";
  if (typeof node.value === "string") return node.value.length > 40 ? "text" : `"${node.value}"`;
  return `the ${typeof node.value === "boolean" ? "boolean" : "number"} ${String(node.value)}`;
}

function suggestType(types: readonly JsonType[], node: Node): string | undefined {
  if (node.kind === "scalar" && node.value !== null && types.includes("string")) {
    return `put it in quotes: "${node.file.text.slice(node.start, node.end)}"`;
  }
  if (node.kind === "scalar" && node.value !== null && types.includes("array")) return "begin the line with `- `";
  if (isNull(node)) return "give it a value, or take the key out";
  if (node.kind === "seq" && types.includes("object")) return "write `key: value` lines instead of `- ` items";
  return undefined;
}

function checkMap(schema: JsonSchema, node: MapNode, path: string[], report: Report): void {
  const { properties } = schema;
  const patterns = patternsOf(schema);
  for (const [key, entry] of node.entries) {
    path.push(key);
    const named = properties !== undefined && Object.hasOwn(properties, key) ? properties[key] : undefined;
    if (named !== undefined) check(named, entry.value, path, entry, report);
    else {
      const matching = patterns.find(({ pattern }) => pattern.test(key));
      if (matching?.schema !== undefined) check(matching.schema, entry.value, path, entry, report);
      else if (matching === undefined && schema.additionalProperties === false) {
        reportUnknown(schema, key, path, keySpan(entry), report);
      }
    }
    path.pop();
  }
  for (const key of schema.required ?? []) {
    if (node.entries.has(key)) continue;
    const message = `${path.join(".")} needs "${key}"`;
    report.error({ code: "missing-key", message, path, at: node, expected: `the key "${key}"` });
  }
}

function reportUnknown(schema: JsonSchema, key: string, path: TreePath, at: Span, report: Report): void {
  const names = Object.keys(schema.properties ?? {});
  const where = path.length === 1 ? "at top level" : `in ${path.slice(0, -1).join(".")}`;
  if (names.length === 0) {
    const pattern = Object.keys(schema.patternProperties ?? {}).find((candidate) => candidate !== "^x-");
    const expected = pattern === undefined ? undefined : `a name that matches ${pattern}`;
    report.error({ code: "unknown-key", message: `"${key}" is not a valid name ${where}`, path, at, expected });
    return;
  }
  const near = nearestName(key, names);
  const suggestion = near === undefined ? undefined : `did you mean "${near}"?`;
  report.error({ code: "unknown-key", message: `unknown key "${key}" ${where}`, path, at, suggestion });
}

function checkSeq(schema: JsonSchema, node: SeqNode, path: string[], report: Report): void {
  if (schema.items !== undefined) {
    for (const [index, item] of node.items.entries()) {
      path.push(String(index));
      check(schema.items, item, path, undefined, report);
      path.pop();
    }
  }
  if (schema.uniqueItems !== true || node.items.length < 2) return;
  const seen = new Map<string, number>();
  for (const [index, item] of node.items.entries()) {
    const text = canonicalText(item);
    const earlier = seen.get(text);
    if (earlier === undefined) {
      seen.set(text, index);
      continue;
    }
    report.error({
      code: "duplicate-item",
      message: `${path.join(".")} says the same at ${String(earlier)} and ${String(index)}`,
      path: [...path, String(index)],
      at: item,
      suggestion: "keep one of the two",
    });
  }
}

function canonicalText(node: Node): string {
  if (node.kind === "scalar") return typeof node.value === "string" ? JSON.stringify(node.value) : String(node.value);
  return JSON.stringify(toPlain(node), (_key, value: unknown) => {
    if (typeof value === "bigint") return String(value);
    if (typeof value !== "object" || value === null || Array.isArray(value)) return value;
    return Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)));
  });
}

function checkScalar(schema: JsonSchema, node: ScalarNode, path: TreePath, report: Report): void {
  if (schema.enum === undefined && schema.pattern === undefined && typeof node.value === "string") return;
  const { value } = node;
  const shown = path.join(".");
  if (schema.enum !== undefined && !schema.enum.includes(String(value))) {
    const expected = orList(schema.enum);
    const near = nearestName(String(value), schema.enum);
    const suggestion = near === undefined ? undefined : `did you mean "${near}"?`;
    report.error({
      code: "invalid-value",
      message: `${shown} must be ${expected}, not "${String(value)}"`,
      path,
      at: node,
      expected,
      suggestion,
    });
  }
  if (schema.pattern !== undefined && typeof value === "string" && !regex(schema.pattern).test(value)) {
    const message = `${shown} is "${value}", which does not match ${schema.pattern}`;
    report.error({ code: "invalid-value", message, path, at: node, expected: `text that matches ${schema.pattern}` });
  }
  if (typeof value === "number" || typeof value === "bigint") {
    const low = schema.minimum !== undefined && value < schema.minimum;
    const high = schema.maximum !== undefined && value > schema.maximum;
    if (low || high) {
      const bound = low ? `at least ${String(schema.minimum)}` : `at most ${String(schema.maximum)}`;
      report.error({ code: "invalid-value", message: `${shown} must be ${bound}`, path, at: node, expected: bound });
    }
  }
}
