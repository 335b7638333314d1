/** Ignore patterns (`.dockerignore`, `--exclude`, `--parents`) as moby's patternmatcher takes them: the last pattern that
 *  matches decides, `!` takes back, a matched directory takes its contents along. */
import { TscomposeError } from "../../../errors.ts";
import { trimSpace } from "../dockerfile/go-text.ts";
import { goMatch } from "./go-match.ts";
import { cleanPath, parentPath } from "./go-path.ts";
import { expressionParts, goExpression } from "./ignore-expression.ts";
import { linearPattern } from "./linear-pattern.ts";

interface Pattern {
  readonly text: string;
  /** Written with `!`. */
  readonly exclusion: boolean;
  /** @throws build/invalid for a pattern that turns out malformed when it is first needed. */
  matches(path: string): boolean;
}

/** Which patterns matched a directory; handed down to what is in it. */
export type MatchState = readonly boolean[];

export interface PatternMatcher {
  readonly patterns: readonly { readonly text: string; readonly exclusion: boolean }[];
  /** True where a pattern begins with `!`: a matched directory may then hold files that are not. */
  readonly hasExclusions: boolean;
  /** For a path relative to the root, with slashes. A match of a parent directory counts. */
  matches(path: string): boolean;
  /** The same for a walk from the top down. `parent`: the state returned for the directory it is in; undefined for the top. */
  matchesBelow(path: string, parent: MatchState | undefined): { readonly matched: boolean; readonly state: MatchState };
}

function malformed(pattern: string, hint?: string): TscomposeError {
  return new TscomposeError("build/invalid", `syntax error in pattern ${JSON.stringify(pattern)}`, {
    hint: hint ?? "close every bracket and write no lone backslash at the end",
  });
}

/** How the text is compared, in the cases that need no expression. Their order is moby's, quirks included: a pattern that
 *  begins with a double star and has no other wildcard is a plain suffix. */
function compile(text: string): (path: string) => boolean {
  const characters = Array.from(text);
  let type: "exact" | "prefix" | "suffix" | "expression" = "exact";
  for (let at = 0, index = 0; at < characters.length; at += 1, index += 1) {
    const character = characters[at];
    if (character === "*" && characters[at + 1] === "*") {
      at += 1;
      if (characters[at + 1] === "/") at += 1;
      if (at + 1 === characters.length && type === "exact") type = "prefix";
      else type = "expression";
      if (index === 0) type = "suffix";
    } else if (character === "*" || character === "?" || character === "[" || character === "]") type = "expression";
    else if (character === "\\" && at + 1 < characters.length) {
      at += 1;
      type = "expression";
    }
  }
  if (type === "exact") return (path) => path === text;
  if (type === "prefix") return (path) => path.startsWith(text.slice(0, -2));
  if (type === "suffix") {
    const suffix = text.slice(2);
    return (path) => path.endsWith(suffix) || (suffix.startsWith("/") && path === suffix.slice(1));
  }
  const parts = expressionParts(goExpression(text));
  if (parts === undefined) throw malformed(text);
  const expression = linearPattern(parts);
  return (path) => expression.matches(path);
}

function parsePattern(given: string): Pattern | undefined {
  const trimmed = trimSpace(given);
  if (trimmed === "") return undefined;
  const cleaned = cleanPath(trimmed);
  const exclusion = cleaned.startsWith("!");
  if (cleaned === "!") throw new TscomposeError("build/invalid", 'illegal exclusion pattern: "!"');
  const text = exclusion ? cleaned.slice(1) : cleaned;
  if (goMatch(text, ".") === undefined) throw malformed(text);
  let compiled: ((path: string) => boolean) | undefined;
  return {
    text,
    exclusion,
    matches: (path) => {
      compiled ??= compile(text);
      return compiled(path);
    },
  };
}

/** The parent directories of `path`, from the top. */
function parentsOf(path: string): readonly string[] {
  const parent = parentPath(path);
  if (parent === ".") return [];
  const parts = parent.split("/");
  return parts.map((_, index) => parts.slice(0, index + 1).join("/"));
}

/** @throws build/invalid for a malformed pattern. */
export function createPatternMatcher(lines: readonly string[]): PatternMatcher {
  const patterns = lines.map(parsePattern).filter((pattern) => pattern !== undefined);
  return {
    patterns,
    hasExclusions: patterns.some((pattern) => pattern.exclusion),
    matches: (path) => {
      let matched = false;
      for (const pattern of patterns) {
        if (pattern.exclusion !== matched) continue;
        if (pattern.matches(path) || parentsOf(path).some((parent) => pattern.matches(parent)))
          matched = !pattern.exclusion;
      }
      return matched;
    },
    matchesBelow: (path, parent) => {
      let matched = false;
      const state = patterns.map((pattern, index) => {
        let match = parent?.[index] ?? false;
        if (!match) {
          if (pattern.exclusion !== matched) return false;
          match =
            pattern.matches(path) || (parent === undefined && parentsOf(path).some((above) => pattern.matches(above)));
        }
        if (match) matched = !pattern.exclusion;
        return match;
      });
      return { matched, state };
    },
  };
}
