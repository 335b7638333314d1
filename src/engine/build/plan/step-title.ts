/** How a step is shown: `[build 2/5] RUN make`. */
import type { EscapeCharacter } from "../dockerfile/shell-lexer.ts";
import { expandWord } from "../dockerfile/shell-lexer.ts";
import type { StageState } from "./stage-state.ts";

/** Takes the next number of the stage. */
export function nextTitle(state: StageState, text: string, onbuild: boolean): string {
  if (state.titleTotal === 0) return text;
  state.titleIndex += 1;
  const width = String(state.titleTotal).length;
  const number = `${String(state.titleIndex).padStart(width)}/${state.titleTotal}`;
  return `[${state.shownName === "" ? "" : `${state.shownName} `}${number}] ${onbuild ? "ONBUILD " : ""}${text}`;
}

/** The instruction with its variables replaced and its keyword in capitals. `run`: quotes and unset variables stay. */
export function expandedSource(
  source: string,
  options: { readonly escape: EscapeCharacter; readonly env: ReadonlyMap<string, string>; readonly run: boolean },
): string {
  const words = (() => {
    try {
      const lex = options.run
        ? ({ escape: options.escape, quotes: "keep", unset: "keep" } as const)
        : { escape: options.escape };
      return expandWord(source, lex, (name) => options.env.get(name)).result;
    } catch {
      return source;
    }
  })();
  const space = words.indexOf(" ");
  return space < 0 ? words.toUpperCase() : words.slice(0, space).toUpperCase() + words.slice(space);
}
