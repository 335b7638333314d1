import { compareBytes } from "./compare.ts";

/** JSON as Go's `encoding/json` writes the model: struct fields in order (plain objects), map keys sorted (objects without a
 *  prototype), `<`, `>` and `&` escaped, no `x-*` of structs. The bytes matter: config hashes are taken over them. */
export function goJson(value: unknown): string {
  if (value === null || value === undefined) return "null";
  if (typeof value === "string") return goString(value);
  if (typeof value === "bigint") return String(value);
  if (typeof value === "number") return goNumber(value);
  if (typeof value === "boolean") return value ? "true" : "false";
  if (Array.isArray(value)) return `[${value.map(goJson).join(",")}]`;
  const isMap = Object.getPrototypeOf(value) === null;
  const keys = Object.keys(value).filter((key) => isMap || !key.startsWith("x-"));
  if (isMap) keys.sort(compareBytes);
  const record = value as Record<string, unknown>;
  return `{${keys.map((key) => `${goString(key)}:${goJson(record[key])}`).join(",")}}`;
}

function goNumber(value: number): string {
  return Object.is(value, -0) ? "-0" : JSON.stringify(value);
}

const special = /[<>&\u2028\u2029]/g;

function goString(text: string): string {
  return JSON.stringify(text.replace(/\p{Surrogate}/gu, "\ufffd")).replace(
    special,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}
