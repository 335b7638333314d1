import type { SourceFile } from "../source.ts";
import { scalar } from "../tree.ts";
import type { Node } from "../tree.ts";

/** Thrown, and caught by `readFast` alone: this file needs the library. */
export const declined = new Error("needs the yaml library");

export interface Cursor {
  readonly file: SourceFile;
  readonly text: string;
  at: number;
}

export function isBlank(code: number): boolean {
  return code === 32 || code === 9;
}

/** Space, line end or end of text: what may follow `:` and `-`. */
export function isBreak(code: number): boolean {
  return code === 32 || code === 10 || code === 9 || Number.isNaN(code);
}

/** On one line only; moves behind the closing quote. */
export function readSingle(cursor: Cursor): string {
  const { text } = cursor;
  let from = cursor.at + 1;
  let value = "";
  for (;;) {
    const end = text.indexOf("'", from);
    if (end === -1) throw declined;
    value += text.slice(from, end);
    if (text.charCodeAt(end + 1) !== 39) {
      if (value.includes("\n")) throw declined;
      cursor.at = end + 1;
      return value;
    }
    value += "'";
    from = end + 2;
  }
}

const escapes = new Map([
  ["0", "\0"],
  ["a", "\x07"],
  ["b", "\b"],
  ["t", "\t"],
  ["n", "\n"],
  ["v", "\v"],
  ["f", "\f"],
  ["r", "\r"],
  ["e", "\x1b"],
  [" ", " "],
  ['"', '"'],
  ["/", "/"],
  ["\\", "\\"],
]);

/** On one line only; moves behind the closing quote. */
export function readDouble(cursor: Cursor): string {
  const { text } = cursor;
  let from = cursor.at + 1;
  let value = "";
  for (let at = from; ; at++) {
    const code = text.charCodeAt(at);
    if (code === 34) {
      cursor.at = at + 1;
      return value + text.slice(from, at);
    }
    if (code === 10 || Number.isNaN(code)) throw declined;
    if (code !== 92) continue;
    const plain = escapes.get(text[at + 1] ?? "");
    if (plain === undefined) throw declined;
    value += text.slice(from, at) + plain;
    at++;
    from = at + 1;
  }
}

const blockHeader = /[|>]([-+]?)[ ]*(?: #[^\n]*)?(?:\n|$)/y;

/** `|` and `>`, without an indentation indicator. `column`: of the parent. */
export function readBlockScalar(cursor: Cursor, column: number): Node {
  const { text, file } = cursor;
  const start = cursor.at;
  blockHeader.lastIndex = start;
  const header = blockHeader.exec(text);
  if (header === null) throw declined;
  const folds = text.charCodeAt(start) === 62;
  const lines: string[] = [];
  let indent = -1;
  let at = start + header[0].length;
  let end = at;
  while (at < text.length) {
    let content = at;
    while (text.charCodeAt(content) === 32 && (indent === -1 || content - at < indent)) content++;
    const code = text.charCodeAt(content);
    const lineEnd = text.indexOf("\n", at) === -1 ? text.length : text.indexOf("\n", at);
    if (code === 10 || (Number.isNaN(code) && content === lineEnd)) {
      // A line of spaces longer than the indentation counts as text; before it is known, only the library can tell.
      if (indent === -1 && content > at) throw declined;
      lines.push("");
    } else {
      if (code === 9 && indent === -1) throw declined;
      if (indent === -1) indent = content - at;
      if (indent <= column) indent = -2;
      if (content - at < indent || indent === -2) break;
      const line = text.slice(content, lineEnd);
      if (folds && (line.startsWith(" ") || line.startsWith("\t"))) throw declined;
      lines.push(line);
      end = lineEnd;
    }
    at = Math.min(lineEnd + 1, text.length);
    if (lineEnd === text.length) break;
  }
  if (indent < 0) throw declined;
  let trailing = 0;
  while (lines.at(-1) === "") {
    lines.pop();
    trailing++;
  }
  // The last line ended without a line break.
  const closed = text.charCodeAt(end) === 10;
  let value = folds ? fold(lines) : lines.join("\n");
  if (header[1] !== "-" && closed) value += "\n";
  if (header[1] === "+") value += "\n".repeat(trailing);
  // Back to where the first line that is not part of the text begins.
  cursor.at = at;
  return scalar(value, { file, start, end });
}

function fold(lines: readonly string[]): string {
  let value = "";
  let breaks = 0;
  for (const [index, line] of lines.entries()) {
    if (line === "") {
      breaks++;
      continue;
    }
    if (index > 0) value += breaks > 0 ? "\n".repeat(breaks) : " ";
    value += line;
    breaks = 0;
  }
  return value;
}

/** Number of nodes under and including `node`; what an alias to it adds. */
export function sizeOf(node: Node): number {
  if (node.kind === "scalar") return 1;
  let size = 1;
  if (node.kind === "seq") for (const item of node.items) size += sizeOf(item);
  else for (const entry of node.entries.values()) size += sizeOf(entry.value);
  return size;
}
