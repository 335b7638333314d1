import { resolvePlain } from "../scalar.ts";
import type { Rendered } from "../render.ts";

/** Plain data to YAML: block style, two spaces, long texts as blocks. What it writes, any YAML 1.1 or 1.2 reader takes back
 *  as it was. */
export function writeYaml(value: Rendered): string {
  const parts: string[] = [];
  write(value, 0, "", parts);
  // What stands at the margin begins without the line break, or the space, that would part it from its key.
  return `${parts.join("").slice(1)}\n`;
}

/** What stands behind `key:` or `-`, beginning with a space or a line break. `first`: what goes before the first line instead of
 *  a line break and the margin, beside a dash. */
function write(value: Rendered, indent: number, first: string, parts: string[]): void {
  if (typeof value === "string") parts.push(" ", writeText(value, indent));
  else if (value === null) parts.push(" null");
  else if (typeof value !== "object") parts.push(" ", String(value));
  else if (isList(value)) writeList(value, indent, first, parts);
  else writeMap(value, indent, first, parts);
}

function writeList(items: readonly Rendered[], indent: number, first: string, parts: string[]): void {
  if (items.length === 0) parts.push(" []");
  const margin = `\n${" ".repeat(indent)}`;
  let before = first === "" ? margin : first;
  for (const item of items) {
    parts.push(before, "-");
    write(item, indent + 2, " ", parts);
    before = margin;
  }
}

function writeMap(map: { readonly [key: string]: Rendered }, indent: number, first: string, parts: string[]): void {
  const keys = Object.keys(map);
  if (keys.length === 0) parts.push(" {}");
  const margin = `\n${" ".repeat(indent)}`;
  let before = first === "" ? margin : first;
  for (const key of keys) {
    parts.push(before, writeKey(key), ":");
    write(map[key] ?? null, indent + 2, "", parts);
    before = margin;
  }
}

function isList(value: Rendered): value is readonly Rendered[] {
  return Array.isArray(value);
}

function writeKey(key: string): string {
  return key.includes("\n") || key.length > 100 ? JSON.stringify(key) : writeFlat(key);
}

function writeText(text: string, indent: number): string {
  if (!text.includes("\n")) return writeFlat(text);
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

/** Words and paths: most of what there is. */
const simple = /^[A-Za-z/][A-Za-z0-9_./]*(?:-[A-Za-z0-9_./]+)*$/;

function writeFlat(text: string): string {
  if (simple.test(text) && !traps.test(text)) return text;
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
