/** Shell patterns of `${name#pattern}`, `${name%pattern}` and `${name/pattern/text}`: `*`, `?` and `\`, no brackets. */
import { problem } from "./problem.ts";

/** A pattern from a hostile file must not hold up the engine. */
const maxSteps = 4_000_000;

type Token = { readonly kind: "literal"; readonly text: readonly string[] } | { readonly kind: "any" | "star" };

export type Greed = "shortest" | "longest";

/** @throws build/invalid for a `\` before anything but `*`, `?`, `\`, `}` and `/`. */
function tokens(pattern: readonly string[]): readonly Token[] {
  const out: Token[] = [];
  let literal: string[] = [];
  const flush = (): void => {
    if (literal.length > 0) out.push({ kind: "literal", text: literal });
    literal = [];
  };
  for (let at = 0; at < pattern.length; at += 1) {
    const character = pattern[at] ?? "";
    if (character === "*" || character === "?") {
      flush();
      if (character === "?") out.push({ kind: "any" });
      else if (out.at(-1)?.kind !== "star") out.push({ kind: "star" });
    } else if (character === "\\") {
      const next = pattern[at + 1];
      if (next === "}" || next === "/") continue;
      if (next !== "*" && next !== "?" && next !== "\\") throw problem(`invalid escape '\\${next ?? "\ufffd"}'`);
      literal.push(next);
      at += 1;
    } else literal.push(character);
  }
  flush();
  return out;
}

/** The end of the match of `pattern` at `start` that a backtracking matcher would take first; each (token, place) is tried
 *  once, so the cost is bounded by their product. Neither `*` nor `?` matches a line feed. */
function matchAt(
  pattern: readonly Token[],
  value: readonly string[],
  options: { readonly start: number; readonly greed: Greed; readonly budget: { steps: number } },
): number | undefined {
  const failed = new Set<number>();
  const spend = (): void => {
    options.budget.steps += 1;
    if (options.budget.steps > maxSteps) throw problem("pattern in substitution takes too long to match");
  };
  const from = (token: number, place: number): number | undefined => {
    const current = pattern[token];
    if (current === undefined) return place;
    const key = token * (value.length + 1) + place;
    if (failed.has(key)) return undefined;
    const end = step(current, token, place);
    if (end === undefined) failed.add(key);
    return end;
  };
  const step = (current: Token, token: number, place: number): number | undefined => {
    spend();
    if (current.kind === "literal") {
      const fits = current.text.every((character, index) => value[place + index] === character);
      return fits ? from(token + 1, place + current.text.length) : undefined;
    }
    if (current.kind === "any") {
      const character = value[place];
      return character === undefined || character === "\n" ? undefined : from(token + 1, place + 1);
    }
    let last = place;
    while (last < value.length && value[last] !== "\n") last += 1;
    for (let offset = 0; offset <= last - place; offset += 1) {
      spend();
      const end = from(token + 1, options.greed === "longest" ? last - offset : place + offset);
      if (end !== undefined) return end;
    }
    return undefined;
  };
  return from(0, options.start);
}

function checkedTokens(pattern: readonly string[], shown: string): readonly Token[] {
  const list = (() => {
    try {
      return tokens(pattern);
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      throw problem(`invalid pattern (${shown}) in substitution: ${reason}`);
    }
  })();
  if (list.length > 1000) throw problem("pattern in substitution is too long");
  return list;
}

export function trimPrefix(value: string, pattern: string, greed: Greed): string {
  const characters = Array.from(value);
  const end = matchAt(checkedTokens(Array.from(pattern), pattern), characters, {
    start: 0,
    greed,
    budget: { steps: 0 },
  });
  return end === undefined ? value : characters.slice(end).join("");
}

/** Backwards, but a backslash stays before what it escapes. */
function reversePattern(pattern: readonly string[]): readonly string[] {
  const groups: string[][] = [];
  for (let at = 0; at < pattern.length; at += 1) {
    const character = pattern[at] ?? "";
    const next = pattern[at + 1];
    if (character === "\\" && next !== undefined) {
      groups.push([character, next]);
      at += 1;
    } else groups.push([character]);
  }
  return groups.toReversed().flat();
}

export function trimSuffix(value: string, pattern: string, greed: Greed): string {
  const backwards = Array.from(value).toReversed();
  const reversed = reversePattern(Array.from(pattern));
  const list = checkedTokens(reversed, reversed.join(""));
  const end = matchAt(list, backwards, { start: 0, greed, budget: { steps: 0 } });
  return end === undefined ? value : backwards.slice(end).toReversed().join("");
}

/** The first match, or all of them, replaced. In `all` the text is a template of Go's regexp package, where `$name` stands
 *  for a group: there are none, so it vanishes (`$0` is the match, `$$` a dollar sign). */
export function replacePattern(
  value: string,
  pattern: string,
  replacement: { readonly text: string; readonly which: "first" | "all" },
): string {
  const list = checkedTokens(Array.from(pattern), pattern);
  const characters = Array.from(value);
  const budget = { steps: 0 };
  let out = "";
  let at = 0;
  let lastEnd = -1;
  while (at <= characters.length) {
    const end = matchAt(list, characters, { start: at, greed: "longest", budget });
    // An empty match right after the previous one does not count.
    if (end === undefined || (end === at && at === lastEnd)) {
      out += characters[at] ?? "";
      at += 1;
      continue;
    }
    const matched = characters.slice(at, end).join("");
    if (replacement.which === "first") return out + replacement.text + characters.slice(end).join("");
    out += expandTemplate(replacement.text, matched);
    lastEnd = end;
    if (end > at) at = end;
    else {
      out += characters[at] ?? "";
      at += 1;
    }
  }
  return out;
}

function expandTemplate(template: string, matched: string): string {
  return template.replace(
    /\$(?:\$|\{([\p{L}\p{Nd}_]+)\}|([\p{L}\p{Nd}_]+))/gu,
    (whole, braced?: string, bare?: string) => {
      if (whole === "$$") return "$";
      return (braced ?? bare) === "0" ? matched : "";
    },
  );
}
