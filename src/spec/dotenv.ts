import { TemplateError, substitute } from "./template.ts";

/** The grammar of `.env` files as Compose has it, which is not that of the `dotenv` package: interpolation, `KEY: value`,
 *  bare keys taken from the environment, quotes over several lines, octal escapes. */

export interface DotenvProblem {
  readonly message: string;
  /** From 1. */
  readonly line: number;
}

export interface DotenvOptions {
  /** Answers for `${VAR}` inside values, before what the file itself has set; and for bare keys. */
  lookup(name: string): string | undefined;
  /** What earlier files set; the file's own variables are added. */
  readonly values: Map<string, string>;
  onUnset?(name: string, line: number): void;
  /** Told where each value was set. */
  onValue?(name: string, line: number): void;
  /** A `$` that begins a variable, which the writer of a password may not have meant. */
  onSubstituted?(name: string, line: number): void;
}

class DotenvError extends Error {
  readonly line: number;

  constructor(message: string, line: number) {
    super(message);
    this.line = line;
  }
}

/** Adds the file's variables to `options.values`. The first fault ends the reading and is returned. */
export function parseDotenv(source: string, options: DotenvOptions): DotenvProblem | undefined {
  const text = source.startsWith("\ufeff") ? source.slice(1) : source;
  try {
    readStatements(text.replace(/\r\n/g, "\n"), options);
    return undefined;
  } catch (error) {
    if (error instanceof DotenvError) return { message: error.message, line: error.line };
    throw error;
  }
}

interface Cursor {
  readonly text: string;
  at: number;
}

function lineOf(cursor: Cursor, at: number): number {
  let line = 1;
  for (
    let found = cursor.text.indexOf("\n");
    found !== -1 && found < at;
    found = cursor.text.indexOf("\n", found + 1)
  ) {
    line++;
  }
  return line;
}

function readStatements(text: string, options: DotenvOptions): void {
  const cursor: Cursor = { text, at: 0 };
  while (toStatement(cursor)) {
    const start = cursor.at;
    const { key, inherited } = readKey(cursor);
    const line = lineOf(cursor, start);
    if (key.includes(" ")) throw new DotenvError(`variable name "${key}" contains a space`, line);
    const value = inherited ? options.lookup(key) : readValue(cursor, options);
    if (value === undefined) continue;
    options.values.set(key, value);
    options.onValue?.(key, line);
  }
}

/** Over blank lines and comments. */
function toStatement(cursor: Cursor): boolean {
  for (;;) {
    while (cursor.at < cursor.text.length && /\s/u.test(cursor.text[cursor.at] ?? "")) cursor.at++;
    if (cursor.at >= cursor.text.length) return false;
    if (cursor.text[cursor.at] !== "#") return true;
    const end = cursor.text.indexOf("\n", cursor.at);
    if (end === -1) return false;
    cursor.at = end;
  }
}

const exportPrefix = /export\s+/y;
const spaceInLine = /[\t\v\f\r \u0085\u00a0]/;
const nameCharacter = /[\p{L}\p{N}_.\-[\]]/u;

function readKey(cursor: Cursor): { key: string; inherited: boolean } {
  const { text } = cursor;
  exportPrefix.lastIndex = cursor.at;
  if (exportPrefix.test(text)) {
    cursor.at += "export".length;
    while (spaceInLine.test(text[cursor.at] ?? "")) cursor.at++;
  }
  const start = cursor.at;
  let at = start;
  for (;;) {
    const character = String.fromCodePoint(text.codePointAt(at) ?? 0);
    if (at >= text.length) {
      // Docker Compose makes this the value of a variable without a name; nobody can read that, so it counts as bare.
      cursor.at = at;
      return { key: text.slice(start).trimEnd(), inherited: true };
    }
    if (character === "=" || character === ":" || character === "\n") {
      cursor.at = at + 1;
      while (spaceInLine.test(text[cursor.at] ?? "")) cursor.at++;
      return { key: text.slice(start, at).trimEnd(), inherited: character === "\n" };
    }
    if (!spaceInLine.test(character) && !nameCharacter.test(character)) {
      const line = text.slice(start, text.indexOf("\n", start) === -1 ? undefined : text.indexOf("\n", start));
      throw new DotenvError(`unexpected character "${character}" in variable name "${line}"`, lineOf(cursor, at));
    }
    at += character.length;
  }
}

function readValue(cursor: Cursor, options: DotenvOptions): string {
  const { text } = cursor;
  const line = lineOf(cursor, cursor.at);
  const quote = text[cursor.at];
  if (quote === '"' || quote === "'") return readQuoted(cursor, quote, line, options);
  const lineEnd = text.indexOf("\n", cursor.at) === -1 ? text.length : text.indexOf("\n", cursor.at);
  let value = text.slice(cursor.at, lineEnd);
  cursor.at = Math.min(lineEnd + 1, text.length);
  const comment = value.indexOf(" #");
  if (comment !== -1) value = value.slice(0, comment);
  return expand(value.trimEnd(), line, options);
}

function readQuoted(cursor: Cursor, quote: '"' | "'", line: number, options: DotenvOptions): string {
  const { text } = cursor;
  let value = "";
  let escaped = false;
  for (let at = cursor.at + 1; at < text.length; at++) {
    const character = text[at] ?? "";
    if (character === quote && !escaped) {
      cursor.at = at + 1;
      return quote === '"' ? expand(expandEscapes(value), line, options) : value;
    }
    if (character === "\\" && !escaped) {
      escaped = true;
      continue;
    }
    value += escaped && character !== quote ? `\\${character}` : character;
    escaped = false;
  }
  const end = text.indexOf("\n", cursor.at);
  const shown = text.slice(cursor.at, end === -1 ? undefined : end);
  throw new DotenvError(`unterminated quoted value ${shown}`, line);
}

const escapeSequence = /\\(?:[abcfnrtv$"\\]|0\d{0,3})/g;
const escapes = new Map([
  ["\\a", "\x07"],
  ["\\b", "\b"],
  ["\\f", "\f"],
  ["\\n", "\n"],
  ["\\r", "\r"],
  ["\\t", "\t"],
  ["\\v", "\v"],
  ["\\\\", "\\"],
  ['\\"', '"'],
  // Interpolation then makes one dollar of the two.
  ["\\$", "$$"],
]);

function expandEscapes(value: string): string {
  return value.replace(escapeSequence, (match) => {
    const plain = escapes.get(match);
    if (plain !== undefined) return plain;
    const octal = /^\\0([0-7]{3})$/.exec(match);
    const code = octal === null ? 256 : Number.parseInt(octal[1] ?? "", 8);
    return code < 256 ? String.fromCodePoint(code) : match;
  });
}

function expand(value: string, line: number, options: DotenvOptions): string {
  if (!value.includes("$")) return value;
  try {
    return substitute(value, {
      lookup: (name) => {
        options.onSubstituted?.(name, line);
        return options.lookup(name) ?? options.values.get(name);
      },
      onUnset: (name) => options.onUnset?.(name, line),
    });
  } catch (error) {
    if (!(error instanceof TemplateError)) throw error;
    const { problem } = error;
    if (problem.kind === "invalid") throw new DotenvError(`not a valid variable in ${value}`, line);
    const reason = problem.reason === "" ? "" : `: ${problem.reason}`;
    throw new DotenvError(`required variable ${problem.name} is missing a value${reason}`, line);
  }
}

/** `env_file` with `format: raw`: docker's own `--env-file`. Everything behind the first `=` is the value. */
export function parseRawEnv(source: string, options: DotenvOptions): DotenvProblem | undefined {
  const lines = (source.startsWith("\ufeff") ? source.slice(1) : source).split("\n");
  for (const [index, whole] of lines.entries()) {
    const line = whole.replace(/\r$/, "").trimStart();
    if (line === "" || line.startsWith("#")) continue;
    const at = line.indexOf("=");
    const key = at === -1 ? line : line.slice(0, at);
    if (key === "") return { message: `no variable name on line "${line}"`, line: index + 1 };
    if (/\s/.test(key)) return { message: `variable "${key}" contains a space`, line: index + 1 };
    const value = at === -1 ? options.lookup(key) : line.slice(at + 1);
    if (value === undefined) continue;
    options.values.set(key, value);
    options.onValue?.(key, index + 1);
  }
  return undefined;
}
