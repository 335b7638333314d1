/** One logical line cut into keyword, `--flags` and the rest. */
import { fromByteString, isAscii, isSpace, toByteString, trimSpace } from "./go-text.ts";
import { splitOnce } from "./line-parsers.ts";
import type { EscapeCharacter } from "./shell-lexer.ts";

export interface SplitLine {
  /** As written. */
  readonly keyword: string;
  /** With the leading dashes, without quotes: `--mount=type=cache,target=/x`. */
  readonly flags: readonly string[];
  readonly rest: string;
}

/** The flags at the start of `line`. They are read byte by byte, and each byte of what they hold becomes a character: text
 *  beyond ASCII in a flag comes out mangled, as from BuildKit. */
function takeFlags(
  line: string,
  escape: EscapeCharacter,
): { readonly flags: readonly string[]; readonly rest: string } {
  const bytes = isAscii(line) ? line : toByteString(line);
  const flags: string[] = [];
  let at = 0;
  for (;;) {
    while (at < bytes.length && isSpace(bytes.charAt(at))) at += 1;
    if (at >= bytes.length) return { flags, rest: "" };
    const restOf = (from: number): string => (bytes === line ? line.slice(from) : fromByteString(bytes.slice(from)));
    if (!bytes.startsWith("--", at)) return { flags, rest: restOf(at) };
    const flag = takeFlag(bytes, at, escape);
    at = flag.end;
    if (flag.text === "--") return { flags, rest: restOf(at) };
    flags.push(flag.text);
  }
}

function takeFlag(
  bytes: string,
  start: number,
  escape: EscapeCharacter,
): { readonly text: string; readonly end: number } {
  let text = "";
  let quote = "";
  let at = start;
  for (; at < bytes.length; at += 1) {
    let character = bytes.charAt(at);
    if (quote === "" && isSpace(character)) break;
    if (quote === "" ? character === "'" || character === '"' : character === quote) {
      quote = quote === "" ? character : "";
      continue;
    }
    if (character === escape) {
      if (at + 1 === bytes.length) continue;
      at += 1;
      character = bytes.charAt(at);
    }
    text += character;
  }
  return { text, end: at };
}

export function splitCommand(line: string, escape: EscapeCharacter): SplitLine {
  const [keyword, tail] = splitOnce(trimSpace(line));
  if (tail === undefined) return { keyword, flags: [], rest: "" };
  const { flags, rest } = takeFlags(tail, escape);
  return { keyword, flags, rest: trimSpace(rest) };
}
