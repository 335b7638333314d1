/** The arguments of one instruction line, in the form that its keyword calls for. */
import { goQuote, isAscii, isSpace, fromByteString, toByteString, trimLeftSpace } from "./go-text.ts";
import { problem } from "./problem.ts";
import type { EscapeCharacter } from "./shell-lexer.ts";

export interface ParsedArguments {
  readonly args: readonly string[];
  /** The JSON (exec) form. */
  readonly json: boolean;
}

type LineParser = (rest: string, escape: EscapeCharacter) => ParsedArguments;

const none: ParsedArguments = { args: [], json: false };

function plain(args: readonly string[]): ParsedArguments {
  return { args, json: false };
}

/** Cuts at runs of blanks: tab, vertical tab, form feed, carriage return, space. */
const blankRun = /[\t\v\f\r ]+/;

export function splitAtBlanks(text: string): readonly string[] {
  return text.split(blankRun);
}

/** At the first run of blanks only. */
export function splitOnce(text: string): readonly [first: string, rest: string | undefined] {
  const match = blankRun.exec(text);
  if (match === null) return [text, undefined];
  return [text.slice(0, match.index), text.slice(match.index + match[0].length)];
}

/** Words separated by blanks; quotation marks and escapes stay in them, and keep blanks inside a word. */
export function parseWords(rest: string, escape: EscapeCharacter): readonly string[] {
  const characters = Array.from(rest);
  const words: string[] = [];
  let word = "";
  let quote = "";
  let started = false;
  let isWord = false;
  const finish = (): void => {
    if (isWord || word !== "") words.push(word);
    word = "";
    isWord = false;
    started = false;
  };
  for (let at = 0; at < characters.length; at += 1) {
    const character = characters[at] ?? "";
    if (quote === "" && isSpace(character)) {
      if (started) finish();
      continue;
    }
    started = true;
    if (quote !== "") {
      if (character === quote) quote = "";
    } else if (character === "'" || character === '"') {
      quote = character;
      isWord = true;
    }
    // Nothing can be escaped between single quotes. At the end of the line an escape is dropped.
    if (character === escape && quote !== "'") {
      const next = characters[at + 1];
      if (next === undefined) break;
      word += character + next;
      at += 1;
    } else word += character;
  }
  if (started) finish();
  return words;
}

const notAllStrings = "when using JSON array syntax, arrays must be comprised of strings only";

/** The strings of a JSON array; undefined where `rest` is not a JSON array.
 *  @throws build/invalid where it is one of other things than strings. */
function parseJsonArray(rest: string): readonly string[] | undefined {
  const text = trimLeftSpace(rest);
  if (!text.startsWith("[")) return undefined;
  const value = ((): unknown => {
    try {
      return JSON.parse(text);
    } catch {
      return undefined;
    }
  })();
  // A number beyond the range of a double is not JSON to Go's decoder.
  if (!Array.isArray(value) || value.some((item) => item === Infinity || item === -Infinity)) return undefined;
  return value.map((item: unknown) => {
    if (typeof item !== "string") throw problem(notAllStrings);
    return item.replace(/[\ud800-\udfff]/gu, "\ufffd");
  });
}

function jsonOr(otherwise: (rest: string) => readonly string[]): LineParser {
  return (rest) => {
    if (rest === "") return none;
    const strings = parseJsonArray(rest);
    return strings === undefined ? plain(otherwise(rest)) : { args: strings, json: true };
  };
}

const jsonOrText = jsonOr((rest) => [rest]);

function wholeText(rest: string): ParsedArguments {
  return rest === "" ? none : plain([rest]);
}

/** `KEY value of many words`, or `a=1 b="2 3"`; three arguments a pair: key, value, and "=" or (old form) "". */
function keysAndValues(keyword: "ENV" | "LABEL"): LineParser {
  return (rest, escape) => {
    const words = parseWords(rest, escape);
    const [first] = words;
    if (first === undefined) return none;
    if (!first.includes("=")) {
      const [key, value] = splitOnce(rest);
      if (value === undefined) throw problem(`${keyword} must have two arguments`);
      return plain([key, value, ""]);
    }
    return plain(
      words.flatMap((word) => {
        const at = word.indexOf("=");
        if (at < 0) throw problem(`Syntax error - can't find = in ${goQuote(word)}. Must be of the form: name=value`);
        return [word.slice(0, at), word.slice(at + 1), "="];
      }),
    );
  };
}

/** The kind (CMD, NONE), then a command as text or JSON. Blanks are looked for byte by byte, as BuildKit does. */
const healthcheck: LineParser = (rest, escape) => {
  const bytes = isAscii(rest) ? rest : toByteString(rest);
  let end = 0;
  while (end < bytes.length && !isSpace(bytes.charAt(end))) end += 1;
  if (end === 0) return none;
  let next = end;
  while (next < bytes.length && isSpace(bytes.charAt(next))) next += 1;
  const text = (from: number, to?: number): string =>
    bytes === rest ? rest.slice(from, to) : fromByteString(bytes.slice(from, to));
  const command = jsonOrText(text(next), escape);
  return { args: [text(0, end), ...command.args], json: command.json };
};

const list: LineParser = (rest) => (rest === "" ? none : plain(splitAtBlanks(rest)));
const jsonOrList = jsonOr(splitAtBlanks);

/** By keyword in lower case. `onbuild` is not among them: its argument is an instruction. */
export const lineParsers: ReadonlyMap<string, LineParser> = new Map<string, LineParser>([
  ["add", jsonOrList],
  ["arg", (rest, escape) => plain(parseWords(rest, escape))],
  ["cmd", jsonOrText],
  ["copy", jsonOrList],
  ["entrypoint", jsonOrText],
  ["env", keysAndValues("ENV")],
  ["expose", list],
  ["from", list],
  ["healthcheck", healthcheck],
  ["label", keysAndValues("LABEL")],
  ["maintainer", wholeText],
  ["run", jsonOrText],
  ["shell", jsonOrText],
  ["stopsignal", wholeText],
  ["user", wholeText],
  ["volume", jsonOrList],
  ["workdir", wholeText],
]);
