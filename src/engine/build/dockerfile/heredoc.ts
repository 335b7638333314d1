/** Here-documents: `<<NAME`, `<<-NAME`, `3<<"NAME"` on a RUN, COPY or ADD line, and the lines that follow. */
import { expandWord } from "./shell-lexer.ts";
import { problem } from "./problem.ts";

export interface HeredocMark {
  readonly name: string;
  /** The file descriptor before `<<`; 0 where there is none. */
  readonly fd: number;
  /** False where a part of the name is quoted: variables in the content stay as written. */
  readonly expand: boolean;
  /** `<<-`: tabs at the start of lines are dropped. */
  readonly chomp: boolean;
}

export interface Heredoc extends HeredocMark {
  readonly content: string;
}

const form = /^([0-9]*)<<(-?)[\t\n\f\r ]*([^<]*)$/;
const quotes = /['"]/g;

function unsetLookup(): undefined {
  return undefined;
}

/** The mark that `word` is; undefined where it is none.
 *  @throws build/invalid where its name cannot be lexed (an open quote). */
export function parseHeredocMark(word: string): HeredocMark | undefined {
  const match = form.exec(word);
  const rest = match?.[3] ?? "";
  if (match === null || rest === "") return undefined;
  const words = expandWord(rest, { escape: "\\", unset: "keep" }, unsetLookup).words;
  const [name] = words;
  if (words.length !== 1 || name === undefined) return undefined;
  const raw = expandWord(rest, { escape: "\\", unset: "keep", quotes: "keep" }, unsetLookup).words;
  if (raw.length !== 1) throw problem(`internal lexing of heredoc produced inconsistent results: ${rest}`);
  const count = (text: string): number => text.match(quotes)?.length ?? 0;
  return {
    name,
    fd: Number(match[1] === "" ? 0 : match[1]),
    expand: count(name) === count(raw[0] ?? ""),
    chomp: match[2] === "-",
  };
}

/** All marks of a line, in order. A line that cannot be lexed has none. */
export function heredocMarks(line: string): readonly HeredocMark[] {
  if (!line.includes("<<")) return [];
  const words = (() => {
    try {
      return expandWord(line, { escape: "\\", quotes: "keep", escapes: "keep", unset: "keep" }, unsetLookup).words;
    } catch {
      return [];
    }
  })();
  return words.map(parseHeredocMark).filter((mark) => mark !== undefined);
}

/** The mark that `word` is, where one that cannot be lexed counts as none. */
export function heredocMarkOf(word: string): HeredocMark | undefined {
  try {
    return parseHeredocMark(word);
  } catch {
    return undefined;
  }
}

export function chompHeredoc(content: string): string {
  return content.replace(/(^|\n)\t+/g, "$1");
}
