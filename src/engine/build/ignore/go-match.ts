/** Go's `filepath.Match`: `*` and `?` do not cross a slash, `[a-z]`, `[^a]`, and a backslash escapes. Wildcards of COPY and
 *  ADD sources are matched by it. */

interface Chunk {
  /** A `*` comes before it. */
  readonly star: boolean;
  readonly text: readonly string[];
}

function chunks(pattern: readonly string[]): readonly Chunk[] {
  const out: Chunk[] = [];
  let at = 0;
  while (at < pattern.length) {
    const star = pattern[at] === "*";
    while (pattern[at] === "*") at += 1;
    const start = at;
    let inBracket = false;
    for (; at < pattern.length && (inBracket || pattern[at] !== "*"); at += 1) {
      const character = pattern[at];
      if (character === "\\") at += 1;
      else if (character === "[") inBracket = true;
      else if (character === "]") inBracket = false;
    }
    at = Math.min(at, pattern.length);
    out.push({ star, text: pattern.slice(start, at) });
  }
  return out;
}

/** How many characters of `name` from `start` the chunk takes; undefined for no match, "bad" for a malformed chunk. */
function matchChunk(chunk: readonly string[], name: readonly string[], start: number): number | "bad" | undefined {
  let at = start;
  let failed = false;
  let index = 0;
  while (index < chunk.length) {
    // A malformed rest is an error even where the name is used up.
    if (!failed && at >= name.length) failed = true;
    const given = name[at];
    const character = chunk[index];
    if (character === "[") {
      const bracket = readBracket(chunk, index + 1);
      if (bracket === undefined) return "bad";
      index = bracket.end;
      if (!failed && !bracket.test(given ?? "")) failed = true;
    } else if (character === "?") {
      if (!failed && given === "/") failed = true;
      index += 1;
    } else {
      if (character === "\\") index += 1;
      const wanted = chunk[index];
      if (wanted === undefined) return "bad";
      if (!failed && wanted !== given) failed = true;
      index += 1;
    }
    if (!failed) at += 1;
  }
  return failed ? undefined : at - start;
}

interface Bracket {
  readonly test: (character: string) => boolean;
  /** After the closing bracket. */
  readonly end: number;
}

function readBracket(chunk: readonly string[], start: number): Bracket | undefined {
  let at = start;
  const negated = chunk[at] === "^";
  if (negated) at += 1;
  const ranges: (readonly [number, number])[] = [];
  for (;;) {
    if (chunk[at] === "]" && ranges.length > 0) break;
    const low = bracketCharacter(chunk, at);
    if (low === undefined) return undefined;
    at = low.end;
    let high = low.code;
    if (chunk[at] === "-") {
      const end = bracketCharacter(chunk, at + 1);
      if (end === undefined) return undefined;
      at = end.end;
      high = end.code;
    }
    ranges.push([low.code, high]);
  }
  const test = (character: string): boolean => {
    const code = character.codePointAt(0) ?? -1;
    return ranges.some(([low, high]) => low <= code && code <= high) !== negated;
  };
  return { test, end: at + 1 };
}

function bracketCharacter(
  chunk: readonly string[],
  start: number,
): { readonly code: number; readonly end: number } | undefined {
  let at = start;
  const first = chunk[at];
  if (first === undefined || first === "-" || first === "]") return undefined;
  if (first === "\\") at += 1;
  const character = chunk[at];
  // A bracket that ends here is never closed.
  if (character === undefined || at + 1 >= chunk.length) return undefined;
  return { code: character.codePointAt(0) ?? 0, end: at + 1 };
}

/** Whether all of `name` matches; undefined for a pattern found malformed (a part that is never reached is not looked at). */
export function goMatch(pattern: string, name: string): boolean | undefined {
  const characters = Array.from(name);
  const list = chunks(Array.from(pattern));
  let at = 0;
  for (const [index, chunk] of list.entries()) {
    const isLast = index === list.length - 1;
    if (chunk.star && chunk.text.length === 0) return !characters.slice(at).includes("/");
    const taken = chunk.star
      ? skipToChunk(chunk.text, characters, { at, isLast })
      : place(chunk.text, characters, { at, isLast });
    if (taken === "bad") return undefined;
    if (taken === undefined) return false;
    at = taken;
  }
  return at === characters.length;
}

type Place = { readonly at: number; readonly isLast: boolean };

/** The place after the chunk at exactly `at`. */
function place(chunk: readonly string[], name: readonly string[], { at, isLast }: Place): number | "bad" | undefined {
  const taken = matchChunk(chunk, name, at);
  if (typeof taken !== "number") return taken;
  return isLast && at + taken < name.length ? undefined : at + taken;
}

/** The place after the first fit of the chunk that a `*` reaches. */
function skipToChunk(
  chunk: readonly string[],
  name: readonly string[],
  { at, isLast }: Place,
): number | "bad" | undefined {
  for (let start = at; start <= name.length; start += 1) {
    const end = place(chunk, name, { at: start, isLast });
    if (end !== undefined) return end;
    if (name[start] === "/") return undefined;
  }
  return undefined;
}

/** True for a text with `*`, `?` or `[` that is not escaped. */
export function hasWildcards(text: string): boolean {
  for (let at = 0; at < text.length; at += 1) {
    const character = text.charAt(at);
    if (character === "\\") at += 1;
    else if (character === "*" || character === "?" || character === "[") return true;
  }
  return false;
}
