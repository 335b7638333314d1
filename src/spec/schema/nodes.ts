import { composeSchema } from "./generated.ts";
import type { JsonSchema } from "./json-schema.ts";

/** Path pattern of every node of the schema, sorted: `services.*.ports[].target`. `*` is a key the user chooses. */
export function schemaNodes(): readonly string[] {
  const found = new Set<string>();
  walk(composeSchema, "", found, []);
  return [...found].sort();
}

function walk(schema: JsonSchema, path: string, found: Set<string>, trail: readonly string[]): void {
  if (schema.$ref !== undefined) {
    if (trail.includes(schema.$ref)) return;
    const target = composeSchema.$defs?.[schema.$ref.slice("#/$defs/".length)];
    if (target !== undefined) walk(target, path, found, [...trail, schema.$ref]);
    return;
  }
  for (const branch of schema.anyOf ?? []) walk(branch, path, found, trail);
  const add = (key: string, inner: JsonSchema): void => {
    const next = path === "" ? key : `${path}.${key}`;
    found.add(next);
    walk(inner, next, found, trail);
  };
  for (const [key, inner] of Object.entries(schema.properties ?? {})) add(key, inner);
  for (const [pattern, inner] of Object.entries(schema.patternProperties ?? {})) if (pattern !== "^x-") add("*", inner);
  if (schema.items !== undefined) walk(schema.items, `${path}[]`, found, trail);
}
