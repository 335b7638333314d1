import type { ChainLink, Place } from "./diagnostic.ts";

/** What a file is to the load; decides how `--explain` names a value that came from it. */
export type SourceRole = "file" | "override" | "extends" | "include" | "default";

/** One text that nodes point into. `text` has its line ends normalised to `\n`. */
export interface SourceFile {
  readonly path: string;
  readonly text: string;
  readonly role: SourceRole;
  /** How the load got here, innermost first. */
  readonly chain: readonly ChainLink[];
  /** Offsets of line starts, filled in when a place is first asked for. */
  lineStarts: readonly number[] | undefined;
}

export function createSourceFile(
  path: string,
  text: string,
  role: SourceRole,
  chain: readonly ChainLink[] = [],
): SourceFile {
  return { path, text, role, chain, lineStarts: undefined };
}

export interface Span {
  readonly file: SourceFile;
  readonly start: number;
  /** Not included. */
  readonly end: number;
}

const longestExcerpt = 160;

export function lineAndColumn(file: SourceFile, offset: number): { line: number; column: number } {
  const starts = (file.lineStarts ??= findLineStarts(file.text));
  let low = 0;
  let high = starts.length - 1;
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if ((starts[middle] ?? 0) <= offset) low = middle;
    else high = middle - 1;
  }
  return { line: low + 1, column: offset - (starts[low] ?? 0) + 1 };
}

export function placeOf(span: Span): Place {
  const { file } = span;
  const start = Math.max(0, Math.min(span.start, file.text.length));
  const { line, column } = lineAndColumn(file, start);
  const lineStart = start - column + 1;
  const lineEnd = endOfLine(file.text, lineStart);
  const length = Math.max(1, Math.min(span.end, lineEnd) - start);
  return { file: file.path, line, column, length, excerpt: cut(file.text.slice(lineStart, lineEnd)) };
}

function endOfLine(text: string, from: number): number {
  const end = text.indexOf("\n", from);
  return end === -1 ? text.length : end;
}

function cut(line: string): string {
  return line.length > longestExcerpt ? `${line.slice(0, longestExcerpt)}…` : line;
}

function findLineStarts(text: string): number[] {
  const starts = [0];
  for (let at = text.indexOf("\n"); at !== -1; at = text.indexOf("\n", at + 1)) starts.push(at + 1);
  return starts;
}
