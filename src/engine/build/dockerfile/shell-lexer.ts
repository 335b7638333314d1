/** Quotes, escapes and variables of a Dockerfile word: what ENV, COPY, LABEL, ARG, FROM and others do to their arguments. */
import { goQuote, isSpace } from "./go-text.ts";
import { isTscomposeError } from "../../../errors.ts";
import { problem } from "./problem.ts";
import { replacePattern, trimPrefix, trimSuffix } from "./shell-pattern.ts";

export type EscapeCharacter = "\\" | "`";

/** The value of a variable; undefined where it is not set (an empty string is set). */
export type VariableLookup = (name: string) => string | undefined;

export interface LexOptions {
  readonly escape: EscapeCharacter;
  /** `keep` leaves quotation marks in the result, `literal` does not treat them as such. Default `remove`. */
  readonly quotes?: "remove" | "keep" | "literal";
  readonly escapes?: "remove" | "keep";
  /** `keep` leaves a reference to an unset variable as written. Default `empty`. */
  readonly unset?: "empty" | "keep";
}

export interface ExpandedWord {
  readonly result: string;
  /** `result` cut at blanks that are neither quoted nor escaped. */
  readonly words: readonly string[];
  /** Names asked for that had a value, in order of first use. */
  readonly matched: readonly string[];
  readonly unmatched: readonly string[];
}

/** What Go prints for the end of the text where a character was expected. */
const endOfText = "\ufffd";

/** The words found so far. One buffer serves nested expansions too: `a${X:-b}` makes the one word `b`, as BuildKit's does. */
interface WordBuffer {
  text: string;
}

class WordList {
  readonly #buffer: WordBuffer;
  readonly #words: string[] = [];
  #inWord = false;

  constructor(buffer: WordBuffer) {
    this.#buffer = buffer;
    buffer.text = "";
  }

  addRaw(text: string): void {
    this.#buffer.text += text;
    this.#inWord = true;
  }

  addSplitting(text: string): void {
    for (const character of text) {
      if (!isSpace(character)) this.addRaw(character);
      else if (this.#inWord) this.#cut();
    }
  }

  #cut(): void {
    if (this.#buffer.text === "") return;
    this.#words.push(this.#buffer.text);
    this.#buffer.text = "";
    this.#inWord = false;
  }

  finish(): readonly string[] {
    this.#cut();
    return this.#words;
  }
}

const specialParameters = new Set(["@", "*", "#", "?", "-", "$", "!", "0"]);
const digit = /^\p{Nd}$/u;
const nameCharacter = /^[\p{L}\p{Nd}_]$/u;

/** Depth of `${a:-${b:-...}}`; far above any real file, far below the stack. */
const maxDepth = 400;

class ShellWord {
  readonly #text: readonly string[];
  readonly #options: LexOptions;
  readonly #lookup: VariableLookup;
  readonly #buffer: WordBuffer = { text: "" };
  readonly #matched = new Set<string>();
  readonly #unmatched = new Set<string>();
  #keepEscapes: boolean;
  #at = 0;
  #depth = 0;

  constructor(text: string, options: LexOptions, lookup: VariableLookup) {
    this.#text = Array.from(text.startsWith("\ufeff") ? text.slice(1) : text);
    this.#options = options;
    this.#lookup = lookup;
    this.#keepEscapes = options.escapes === "keep";
  }

  expand(): ExpandedWord {
    const { result, words } = this.#until(undefined, this.#keepEscapes);
    return { result, words, matched: [...this.#matched], unmatched: [...this.#unmatched] };
  }

  #peek(): string | undefined {
    return this.#text[this.#at];
  }

  #next(): string | undefined {
    const character = this.#text[this.#at];
    if (character !== undefined) this.#at += 1;
    return character;
  }

  #until(
    stop: string | undefined,
    keepEscapes: boolean,
  ): { readonly result: string; readonly words: readonly string[] } {
    this.#depth += 1;
    if (this.#depth > maxDepth) throw problem("substitutions are nested too deeply");
    const outer = this.#keepEscapes;
    this.#keepEscapes = keepEscapes;
    try {
      return this.#scan(stop);
    } finally {
      this.#keepEscapes = outer;
      this.#depth -= 1;
    }
  }

  #scan(stop: string | undefined): { readonly result: string; readonly words: readonly string[] } {
    const words = new WordList(this.#buffer);
    let result = "";
    for (let character = this.#peek(); character !== undefined; character = this.#peek()) {
      if (character === stop) {
        this.#at += 1;
        return { result, words: words.finish() };
      }
      const special = this.#special(character);
      if (special !== undefined) {
        result += special;
        if (character === "$") words.addSplitting(special);
        else words.addRaw(special);
        continue;
      }
      this.#at += 1;
      if (character !== this.#options.escape) {
        words.addSplitting(character);
        result += character;
        continue;
      }
      if (this.#keepEscapes) {
        words.addRaw(character);
        result += character;
      }
      const escaped = this.#next();
      if (escaped === undefined) break;
      words.addRaw(escaped);
      result += escaped;
    }
    if (stop !== undefined) throw problem(`unexpected end of statement while looking for matching ${stop}`);
    return { result, words: words.finish() };
  }

  #special(character: string): string | undefined {
    if (character === "$") return this.#dollar();
    if (character === "<") return this.#heredocMark();
    if (this.#options.quotes === "literal") return undefined;
    if (character === "'") return this.#singleQuoted();
    if (character === '"') return this.#doubleQuoted();
    return undefined;
  }

  /** `<<` with the blanks after it, so that a heredoc's name stays in one word with it. */
  #heredocMark(): string {
    this.#at += 1;
    if (this.#peek() !== "<") return "<";
    this.#at += 1;
    let blanks = "";
    for (let next = this.#peek(); next === " " || next === "\t" || next === "\r"; next = this.#peek()) {
      blanks += next;
      this.#at += 1;
    }
    return `<<${blanks}`;
  }

  #singleQuoted(): string {
    this.#at += 1;
    const end = this.#text.indexOf("'", this.#at);
    if (end < 0) {
      this.#at = this.#text.length;
      throw problem("unexpected end of statement while looking for matching single-quote");
    }
    const text = this.#text.slice(this.#at, end).join("");
    this.#at = end + 1;
    return this.#options.quotes === "keep" ? `'${text}'` : text;
  }

  #doubleQuoted(): string {
    const mark = this.#options.quotes === "keep" ? '"' : "";
    let result = mark;
    this.#at += 1;
    for (;;) {
      const character = this.#peek();
      if (character === undefined) throw problem("unexpected end of statement while looking for matching double-quote");
      if (character === '"') {
        this.#at += 1;
        return result + mark;
      }
      result += character === "$" ? this.#dollar() : this.#quotedCharacter(character);
    }
  }

  #quotedCharacter(character: string): string {
    this.#at += 1;
    if (character !== this.#options.escape) return character;
    const kept = this.#keepEscapes ? character : "";
    const next = this.#peek();
    if (next === undefined) return kept;
    if (next !== '"' && next !== "$" && next !== this.#options.escape) return kept + character;
    this.#at += 1;
    return kept + next;
  }

  #value(name: string): string | undefined {
    const value = this.#lookup(name);
    (value === undefined ? this.#unmatched : this.#matched).add(name);
    return value;
  }

  get #keepsUnset(): boolean {
    return this.#options.unset === "keep";
  }

  #dollar(): string {
    this.#at += 1;
    if (this.#peek() !== "{") {
      const name = this.#name();
      if (name === "") return "$";
      const value = this.#value(name);
      return value ?? (this.#keepsUnset ? `$${name}` : "");
    }
    this.#at += 1;
    const first = this.#peek();
    if (first === undefined) throw problem("syntax error: missing '}'");
    if (first === "{" || first === "}" || first === ":") throw problem("syntax error: bad substitution");
    return this.#braced(this.#name());
  }

  #braced(name: string): string {
    const modifier = this.#next();
    switch (modifier) {
      case "}": {
        const value = this.#value(name);
        return value ?? (this.#keepsUnset ? `\${${name}}` : "");
      }
      case ":": {
        const second = this.#next();
        const shown = `:${second ?? endOfText}`;
        if (second === "#" || second === "%") throw problem(`unsupported modifier (${shown}) in substitution`);
        return this.#modified(name, second, shown);
      }
      case "+":
      case "-":
      case "?":
      case "#":
      case "%":
        return this.#modified(name, modifier, modifier);
      case "/":
        return this.#replaced(name);
      case undefined:
      default:
        throw problem(`unsupported modifier (${modifier ?? endOfText}) in substitution`);
    }
  }

  /** The part up to `stop`; a failure that has reached the end of the text means that the closing mark is missing. */
  #part(stop: string, keepEscapes: boolean, missing: string): string {
    try {
      return this.#until(stop, keepEscapes).result;
    } catch (error) {
      throw this.#peek() === undefined && isTscomposeError(error) ? problem(missing) : error;
    }
  }

  #modified(name: string, modifier: string | undefined, shown: string): string {
    const trims = modifier === "#" || modifier === "%";
    const word = this.#part("}", trims, "syntax error: missing '}'");
    const value = this.#value(name);
    if (value === undefined && this.#keepsUnset) return `\${${name}${shown}${word}}`;
    const given = shown.startsWith(":") ? value !== undefined && value !== "" : value !== undefined;
    switch (modifier) {
      case "-":
        return given ? (value ?? "") : word;
      case "+":
        return given ? word : "";
      case "?":
        if (given) return value ?? "";
        throw problem(
          `${name}: ${word === "" ? `is not allowed to be ${value === undefined ? "unset" : "empty"}` : word}`,
        );
      case "#":
      case "%": {
        const longest = word.startsWith(modifier);
        const pattern = longest ? word.slice(1) : word;
        const trim = modifier === "#" ? trimPrefix : trimSuffix;
        return trim(value ?? "", pattern, longest ? "longest" : "shortest");
      }
      case undefined:
      default:
        throw problem(`unsupported modifier (${shown}) in substitution`);
    }
  }

  #replaced(name: string): string {
    const all = this.#peek() === "/";
    if (all) this.#at += 1;
    const pattern = this.#part("/", true, "syntax error: missing '/' in ${}");
    const text = this.#part("}", true, "syntax error: missing '}'");
    const value = this.#value(name);
    if (value === undefined && this.#keepsUnset) return `\${${name}/${pattern}/${text}}`;
    return replacePattern(value ?? "", pattern, { text, which: all ? "all" : "first" });
  }

  /** Letters, digits and `_`; a number; or one special parameter such as `@`. */
  #name(): string {
    const first = this.#peek();
    if (first === undefined) return "";
    if (digit.test(first)) return this.#run(digit);
    if (specialParameters.has(first)) {
      this.#at += 1;
      return first;
    }
    return this.#run(nameCharacter);
  }

  #run(accepted: RegExp): string {
    const start = this.#at;
    for (let next = this.#peek(); next !== undefined && accepted.test(next); next = this.#peek()) this.#at += 1;
    return this.#text.slice(start, this.#at).join("");
  }
}

/** Expands `word`.
 *  @throws build/invalid for an open quote, a malformed or unsupported substitution, a `${name:?}` without a value. */
export function expandWord(word: string, options: LexOptions, lookup: VariableLookup): ExpandedWord {
  try {
    return new ShellWord(word, options, lookup).expand();
  } catch (error) {
    if (!isTscomposeError(error, "build/invalid")) throw error;
    throw problem(`failed to process ${goQuote(word)}: ${error.message}`);
  }
}

/** Variables from `NAME=value` strings; of several with one name the last counts. A string without `=` is set to "". */
export function lookupIn(environment: readonly string[]): VariableLookup {
  const values = new Map<string, string>();
  for (const entry of environment) {
    const at = entry.indexOf("=");
    if (at < 0) values.set(entry, "");
    else values.set(entry.slice(0, at), entry.slice(at + 1));
  }
  return (name) => values.get(name);
}
