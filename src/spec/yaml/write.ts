import { resolvePlain } from "../scalar.ts";
import type { Rendered } from "../render.ts";

/** Plain data to YAML: block style, two spaces, long texts as blocks. What it writes, any YAML 1.1 or 1.2 reader takes back
 *  as it was. */
export function writeYaml(value: Rendered): string {
  return `${block(value, 0).replace(/^\n/, "")}\n`;
}

/** The text to stand behind `key:` or `-`, beginning with a space or a line break. */
function block(value: Rendered, indent: number): string {
  if (value === null) return " null";
  if (typeof value === "string") return ` ${writeText(value, indent)}`;
  if (typeof value !== "object") return ` ${String(value)}`;
  const margin = "\n" + " ".repeat(indent);
  if (isList(value)) {
    if (value.length === 0) return " []";
    return value.map((item) => `${margin}-${itemText(item, indent)}`).join("");
  }
  const entries = Object.entries(value);
  if (entries.length === 0) return " {}";
  return entries.map(([key, inner]) => `${margin}${writeKey(key)}:${block(inner, indent + 2)}`).join("");
}

function isList(value: Rendered): value is readonly Rendered[] {
  return Array.isArray(value);
}

/** The first line of a nested block goes beside the dash. */
function itemText(item: Rendered, indent: number): string {
  const text = block(item, indent + 2);
  return text.startsWith("\n") ? ` ${text.trimStart()}` : text;
}

function writeKey(key: string): string {
  return key.includes("\n") || key.length > 100 ? JSON.stringify(key) : writeFlat(key);
}

function writeText(text: string, indent: number): string {
  const lines = text.split("\n");
  const blockable = lines.length > 1 && /^[^\s]/.test(text) && isPrintable(text) && !/[ \t](?:\n|$)/.test(text);
  if (!blockable) return writeFlat(text);
  const trailing = /\n*$/.exec(text)?.[0].length ?? 0;
  const chomp = trailing === 0 ? "-" : trailing === 1 ? "" : "+";
  const margin = " ".repeat(Math.max(indent, 2));
  const body = trailing > 0 ? lines.slice(0, -1) : lines;
  return `|${chomp}\n${body.map((line) => (line === "" ? "" : margin + line)).join("\n")}`;
}

function isPrintable(text: string): boolean {
  // eslint-disable-next-line no-control-regex -- looking for them is the point
  return !/[\0-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff\p{Surrogate}]/u.test(text);
}

/** Words that some YAML reader takes for something else than text. */
const traps = /^(?:y|yes|n|no|on|off|true|false|null|~|=|<<)$/i;
const plainShape = /^[\p{L}\p{N}_./\\$(+][^\n\t]*$/u;
const sexagesimal = /^[-+]?[0-9][0-9_]*(?::[0-5]?[0-9])+(?:\.[0-9_]*)?$/;

function writeFlat(text: string): string {
  if (!isPrintable(text) || text.includes("\n") || text.includes("\t")) return quote(text);
  const safe =
    plainShape.test(text) &&
    typeof resolvePlain(text).value === "string" &&
    !/: |:$| #|^[0-9.+-]+[eE_xob.:0-9+-]*$| $/.test(text) &&
    !/[,[\]{}]/.test(text) &&
    !traps.test(text) &&
    !sexagesimal.test(text) &&
    !/^\d{4}-\d/.test(text);
  if (safe) return text;
  return text.includes("'") || text.includes("\\") ? quote(text) : `'${text}'`;
}

function quote(text: string): string {
  return JSON.stringify(text).replace(
    /[\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}
