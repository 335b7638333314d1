/** A problem in a Dockerfile as people read it: file:line:column, the lines, a caret. Pure. */
import type { LineRange } from "../dockerfile/syntax-tree.ts";
import type { Finding } from "./linter.ts";

export interface SourceText {
  /** As the user named it. */
  readonly name: string;
  readonly text: string;
}

/** At most so many lines of an instruction are shown. */
const maxLines = 6;

/** Column (from 1) and width of what the message is about on the first line: a word that the message quotes, else the keyword. */
function caretOf(line: string, message: string): { readonly column: number; readonly width: number } {
  const quoted = [...message.matchAll(/['"]\$?([^'"]+)['"]/g)].map((match) => match[1] ?? "");
  for (const word of quoted) {
    const at = line.indexOf(word);
    if (word !== "" && at >= 0) return { column: at + 1, width: word.length };
  }
  const start = line.search(/\S/);
  const keyword = /\S+/.exec(line)?.[0] ?? "";
  return { column: Math.max(start, 0) + 1, width: Math.max(keyword.length, 1) };
}

/** Three parts: `name:line:column`, and the lines with numbers and a caret under the first. */
export function renderPlace(
  source: SourceText,
  place: LineRange,
  message: string,
): { readonly position: string; readonly excerpt: string } {
  const lines = source.text.split("\n").map((line) => line.replace(/\r$/, ""));
  const first = lines[place.start - 1] ?? "";
  const caret = caretOf(first, message);
  const shown = lines.slice(place.start - 1, Math.min(place.end, place.start - 1 + maxLines));
  const width = String(place.start + shown.length - 1).length;
  const gutter = " ".repeat(width);
  const rows = shown.map((line, index) => `${String(place.start + index).padStart(width)} | ${line}`);
  const pointer = `${gutter} | ${first.slice(0, caret.column - 1).replace(/[^\t]/g, " ")}${"^".repeat(caret.width)}`;
  rows.splice(1, 0, pointer);
  if (place.end - place.start >= maxLines) rows.push(`${gutter} | ...`);
  return { position: `${source.name}:${place.start}:${caret.column}`, excerpt: rows.join("\n") };
}

export function renderFinding(finding: Finding, source: SourceText): string {
  const { position, excerpt } = renderPlace(source, finding.place, finding.message);
  const more = finding.rule.url === "" ? "" : `\n  see ${finding.rule.url}`;
  return `${position}: ${finding.rule.name}: ${finding.message}\n${excerpt}${more}`;
}
