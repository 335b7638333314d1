/** Pure: checks a JSON body against a shape, as Go's decoder would: keys in any case, unknown keys dropped, null the same as
 *  absent, wrong types refused. So the engine gets what its types promise. Stricter than Go in one point: numbers must be
 *  integers that a JavaScript number holds exactly. */
import { TscomposeError } from "../errors.ts";

export type Shape =
  | { readonly kind: "string" | "boolean" | "integer" | "any" | "words" }
  | { readonly kind: "list"; readonly item: Shape }
  | { readonly kind: "map"; readonly value: Shape }
  | { readonly kind: "object"; readonly fields: ReadonlyMap<string, readonly [name: string, shape: Shape]> };

export const string: Shape = { kind: "string" };
export const boolean: Shape = { kind: "boolean" };
export const integer: Shape = { kind: "integer" };
export const anything: Shape = { kind: "any" };
/** A list of strings, or one string that stands for a list of one. */
export const words: Shape = { kind: "words" };
export const list = (item: Shape): Shape => ({ kind: "list", item });
/** Keys are data and stay as they are; a null value stays null. */
export const map = (value: Shape): Shape => ({ kind: "map", value });
/** One shape for every key of `T`: the compiler finds the one that is missing. */
export function object<T>(fields: Readonly<Record<keyof T & string, Shape>>): Shape {
  const entries = Object.entries<Shape>(fields).map(([name, shape]) => [name.toLowerCase(), [name, shape]] as const);
  return { kind: "object", fields: new Map(entries) };
}

/** `path` names the place in messages. @throws request/invalid. */
export function readShape(shape: Shape, value: unknown, path = ""): unknown {
  switch (shape.kind) {
    case "any":
      return value;
    case "string":
    case "boolean":
      return typeof value === shape.kind ? value : refuse(path, `a ${shape.kind}`, value);
    case "integer":
      if (typeof value !== "number") return refuse(path, "an integer", value);
      return Number.isSafeInteger(value) ? value + 0 : refuse(path, "an integer below 2^53", value);
    case "words":
      return typeof value === "string" ? [value] : readList(string, value, path);
    case "list":
      return readList(shape.item, value, path);
    case "map":
      return readMap(shape.value, value, path);
    case "object":
      return readObject(shape.fields, value, path);
  }
}

function readList(item: Shape, value: unknown, path: string): unknown {
  if (!Array.isArray(value)) return refuse(path, "a list", value);
  return value.map((element, index) => readShape(item, element, `${path}[${index}]`));
}

function readMap(item: Shape, value: unknown, path: string): unknown {
  if (!isObject(value)) return refuse(path, "an object", value);
  return Object.fromEntries(
    Object.entries(value).map(([key, element]) => {
      if (key === "__proto__") return refuse(path, `an object without the key "__proto__"`, value);
      return [key, element === null ? null : readShape(item, element, join(path, key))];
    }),
  );
}

function readObject(
  fields: ReadonlyMap<string, readonly [name: string, shape: Shape]>,
  value: unknown,
  path: string,
): unknown {
  if (!isObject(value)) return refuse(path, "an object", value);
  const result: [string, unknown][] = [];
  for (const [key, element] of Object.entries(value)) {
    const field = fields.get(key.toLowerCase());
    if (field === undefined || element === null) continue;
    const [name, shape] = field;
    result.push([name, readShape(shape, element, join(path, name))]);
  }
  return Object.fromEntries(result);
}

function isObject(value: unknown): value is object {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

const join = (path: string, key: string): string => (path === "" ? key : `${path}.${key}`);

function refuse(path: string, expected: string, value: unknown): never {
  const got =
    value === null ? "null" : Array.isArray(value) ? "a list" : typeof value === "number" ? `${value}` : typeof value;
  throw new TscomposeError("request/invalid", `invalid JSON: ${path || "the body"} must be ${expected}, not ${got}`);
}
