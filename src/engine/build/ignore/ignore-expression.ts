/** One pattern of an ignore file to parts of a linear pattern. moby's patternmatcher writes a Go regular expression and
 *  compiles it; brackets and escapes mean there what they mean in such an expression, so they are read as one here. */
import type { Part } from "./linear-pattern.ts";

const notNewline = (character: string): boolean => character !== "\n";

/** The Go expression (without anchors) for a cleaned pattern. */
export function goExpression(pattern: string): string {
  const characters = Array.from(pattern);
  let out = "";
  for (let at = 0; at < characters.length; at += 1) {
    const character = characters[at] ?? "";
    if (character === "*" && characters[at + 1] === "*") {
      at += 1;
      if (characters[at + 1] === "/") at += 1;
      out += at + 1 === characters.length ? ".*" : "(.*/)?";
    } else if (character === "*") out += "[^/]*";
    else if (character === "?") out += "[^/]";
    else if (".+()|{}$".includes(character)) out += `\\${character}`;
    else if (character === "\\") {
      const next = characters[at + 1];
      out += next === undefined ? "\\" : `\\${next}`;
      at += 1;
    } else out += character;
  }
  return out;
}

class BadPattern extends Error {}

const perlClasses: Readonly<Record<string, RegExp>> = {
  d: /^[0-9]$/,
  D: /^[^0-9]$/,
  w: /^[0-9A-Za-z_]$/,
  W: /^[^0-9A-Za-z_]$/,
  s: /^[\t\n\f\r ]$/,
  S: /^[^\t\n\f\r ]$/,
};
const controls: Readonly<Record<string, string>> = { a: "\u0007", f: "\f", n: "\n", r: "\r", t: "\t", v: "\v" };

type Item = { readonly test: (character: string) => boolean; readonly literal: string | undefined };

function literal(character: string): Item {
  return { test: (given) => given === character, literal: character };
}

class ExpressionReader {
  readonly #text: readonly string[];
  #at = 0;

  constructor(text: string) {
    this.#text = Array.from(text);
  }

  parts(): readonly Part[] {
    const out: Part[] = [];
    while (this.#at < this.#text.length) {
      const part = this.#part();
      if (this.#text[this.#at] === "*" && part.kind === "one") {
        this.#at += 1;
        out.push({ kind: "many", test: part.test });
      } else out.push(part);
    }
    return out;
  }

  #part(): Part {
    const character = this.#text[this.#at];
    this.#at += 1;
    if (character === "(") {
      // Only `(.*/)?` is ever written.
      this.#at += ".*/)?".length;
      const slash: Part = { kind: "one", test: (given) => given === "/" };
      return { kind: "maybe", parts: [{ kind: "many", test: notNewline }, slash] };
    }
    if (character === ".") return { kind: "one", test: notNewline };
    if (character === "^") return { kind: "start" };
    if (character === "\\") return { kind: "one", test: this.#escaped().test };
    if (character === "[") return { kind: "one", test: this.#bracket() };
    return { kind: "one", test: literal(character ?? "").test };
  }

  #escaped(): Item {
    const character = this.#text[this.#at];
    this.#at += 1;
    // A lone backslash at the end escapes the `$` that moby puts after the pattern.
    if (character === undefined) return literal("$");
    const perl = Object.hasOwn(perlClasses, character) ? perlClasses[character] : undefined;
    if (perl !== undefined) return { test: (given) => perl.test(given), literal: undefined };
    const control = Object.hasOwn(controls, character) ? controls[character] : undefined;
    if (control !== undefined) return literal(control);
    if (/^[0-9A-Za-z]$/.test(character) || character > "\u007f") throw new BadPattern();
    return literal(character);
  }

  #bracket(): (character: string) => boolean {
    const negated = this.#text[this.#at] === "^";
    if (negated) this.#at += 1;
    const items: ((character: string) => boolean)[] = [];
    for (let first = true; first || this.#text[this.#at] !== "]"; first = false) {
      const low = this.#bracketItem();
      const isRange = this.#text[this.#at] === "-" && this.#text[this.#at + 1] !== "]";
      if (!isRange || low.literal === undefined) {
        items.push(low.test);
        continue;
      }
      this.#at += 1;
      const high = this.#bracketItem();
      if (high.literal === undefined || codeOf(high.literal) < codeOf(low.literal)) throw new BadPattern();
      const [from, to] = [codeOf(low.literal), codeOf(high.literal)];
      items.push((given) => codeOf(given) >= from && codeOf(given) <= to);
    }
    this.#at += 1;
    return (given) => items.some((test) => test(given)) !== negated;
  }

  #bracketItem(): Item {
    const character = this.#text[this.#at];
    if (character === undefined) throw new BadPattern();
    this.#at += 1;
    return character === "\\" ? this.#escaped() : literal(character);
  }
}

function codeOf(character: string): number {
  return character.codePointAt(0) ?? 0;
}

/** Undefined where the expression is malformed. */
export function expressionParts(expression: string): readonly Part[] | undefined {
  try {
    return new ExpressionReader(expression).parts();
  } catch (error) {
    if (error instanceof BadPattern) return undefined;
    throw error;
  }
}
