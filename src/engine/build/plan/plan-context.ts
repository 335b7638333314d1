/** What every part of planning is handed: options, the lexer's escape, global ARGs, the list of steps being made. */
import type { EscapeCharacter } from "../dockerfile/shell-lexer.ts";
import { expandWord } from "../dockerfile/shell-lexer.ts";
import { nearest } from "../dockerfile/suggest.ts";
import type { LineRange } from "../dockerfile/syntax-tree.ts";
import type { Linter } from "../checks/linter.ts";
import { rules } from "../checks/rules.ts";
import type { PatternMatcher } from "../ignore/pattern-matcher.ts";
import type { PlanOptions } from "./options.ts";
import type { StageState } from "./stage-state.ts";
import type { Step } from "./steps.ts";

export interface PlanContext {
  readonly options: PlanOptions;
  readonly escape: EscapeCharacter;
  /** ARGs before the first FROM, and the predefined ones. */
  readonly globalArgs: ReadonlyMap<string, string>;
  readonly lint: Linter;
  readonly ignore: PatternMatcher | undefined;
  readonly steps: Step[];
}

/** Where a word stands, for what is found in it. */
export interface WordPlace {
  readonly place: LineRange;
  readonly lint: Linter;
}

/** Replaces the variables of a word, and reports those that nothing defines. */
export function expandIn(context: PlanContext, state: StageState, at: WordPlace): (word: string) => string {
  return (word) => {
    const expanded = expandWord(word, { escape: context.escape }, (name) => state.env.get(name));
    reportUndefined(state, at, expanded.unmatched);
    return expanded.result;
  };
}

export function reportUndefined(state: StageState, { place, lint }: WordPlace, names: readonly string[]): void {
  for (const name of names) {
    if (state.buildArgs.some(({ key }) => key === name)) continue;
    if (name === "BUILDKIT_SBOM_SCAN_CONTEXT" || name === "BUILDKIT_SBOM_SCAN_STAGE") continue;
    const match = nearest(name, [...state.env.keys()]);
    const hint = match === undefined ? "" : ` (did you mean $${match}?)`;
    lint.report(rules.undefinedVar, place, `Usage of undefined variable '$${name}'${hint}`);
  }
}
