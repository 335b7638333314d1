/** `--name=value` flags of an instruction: which there are, and of what kind. */
import { cut } from "./go-text.ts";
import { problem } from "./problem.ts";
import { didYouMean } from "./suggest.ts";

export type FlagKind = "boolean" | "text" | "list";

/** The flags given. A boolean or text flag has one value; booleans are "true" or "false". */
export interface FlagValues {
  text(name: string): string;
  isTrue(name: string): boolean;
  list(name: string): readonly string[];
  has(name: string): boolean;
  /** In alphabetical order. */
  readonly used: readonly string[];
}

/** Reads `flags` against the kinds allowed.
 *  @throws build/invalid for an unknown flag, one given twice, a missing or wrong value. */
export function readFlags(flags: readonly string[], kinds: Readonly<Record<string, FlagKind>> = {}): FlagValues {
  const values = new Map<string, string[]>();
  for (const flag of flags) {
    if (flag === "--") break;
    const { before: flagName, after: value } = cut(flag, "=");
    const name = flagName.slice(2);
    const kind = Object.hasOwn(kinds, name) ? kinds[name] : undefined;
    if (kind === undefined)
      throw problem(`unknown flag: ${flagName}${didYouMean(name, Object.keys(kinds).toSorted())}`);
    const given = values.get(name) ?? [];
    if (given.length > 0 && kind !== "list") throw problem(`duplicate flag specified: ${flagName}`);
    values.set(name, [...given, flagValue(flagName, kind, value)]);
  }
  return {
    text: (name) => values.get(name)?.[0] ?? "",
    isTrue: (name) => values.get(name)?.[0] === "true",
    list: (name) => values.get(name) ?? [],
    has: (name) => values.has(name),
    used: [...values.keys()].toSorted(),
  };
}

function flagValue(flagName: string, kind: FlagKind, value: string | undefined): string {
  if (kind !== "boolean") {
    if (value === undefined) throw problem(`missing a value on flag: ${flagName}`);
    return value;
  }
  if (value === undefined) return "true";
  if (value === "") throw problem(`missing a value on flag: ${flagName}`);
  const lower = value.toLowerCase();
  if (lower !== "true" && lower !== "false")
    throw problem(`expecting boolean value for flag ${flagName}, not: ${value}`);
  return lower;
}
