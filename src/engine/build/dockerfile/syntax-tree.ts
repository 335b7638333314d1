/** Dockerfile text to a list of nodes, one an instruction: lines joined, comments taken out, heredocs attached. Which
 *  instructions there are, and what they take, is decided later (`parse-stages.ts`). */
import { DirectiveReader } from "./directives.ts";
import { trimLeftSpace, trimSpace } from "./go-text.ts";
import { heredocMarks } from "./heredoc.ts";
import type { Heredoc } from "./heredoc.ts";
import { lineParsers } from "./line-parsers.ts";
import { placeOf, problem, withPlace } from "./problem.ts";
import type { EscapeCharacter } from "./shell-lexer.ts";
import { splitCommand } from "./split-command.ts";

/** Lines of the file, from 1, both ends included; heredocs are part of their instruction. */
export interface LineRange {
  readonly start: number;
  readonly end: number;
}

export interface SyntaxNode extends LineRange {
  /** The keyword as written. */
  readonly keyword: string;
  readonly flags: readonly string[];
  readonly args: readonly string[];
  readonly json: boolean;
  /** Continuation lines joined, comments gone. */
  readonly original: string;
  readonly heredocs: readonly Heredoc[];
  /** Comment lines right above, without `#`. */
  readonly comments: readonly string[];
  /** The instruction of an ONBUILD. */
  readonly child: SyntaxNode | undefined;
}

export interface EmptyContinuation {
  /** The last line of the instruction. */
  readonly line: number;
  readonly original: string;
}

export interface SyntaxTree {
  readonly nodes: readonly SyntaxNode[];
  readonly escape: EscapeCharacter;
  readonly emptyContinuations: readonly EmptyContinuation[];
}

/** BuildKit's scanner holds no longer line, in bytes. */
const maxLineBytes = 65_535;

/** Raw lines with their line ends; stops before one that is too long. */
class LineSource {
  readonly #text: string;
  #at = 0;
  tooLong = false;

  constructor(text: string) {
    this.#text = text;
  }

  next(): string | undefined {
    if (this.tooLong || this.#at >= this.#text.length) return undefined;
    const found = this.#text.indexOf("\n", this.#at);
    const end = found < 0 ? this.#text.length : found + 1;
    const line = this.#text.slice(this.#at, end);
    const content = found < 0 ? line : line.slice(0, -1);
    if (content.length * 3 > maxLineBytes && Buffer.byteLength(content) > maxLineBytes) {
      this.tooLong = true;
      return undefined;
    }
    this.#at = end;
    return line;
  }
}

function trimNewline(line: string): string {
  let end = line.length;
  while (end > 0 && (line.charAt(end - 1) === "\n" || line.charAt(end - 1) === "\r")) end -= 1;
  return line.slice(0, end);
}

function isComment(line: string): boolean {
  return trimLeftSpace(line).startsWith("#");
}

const canHoldHeredoc = new Set(["add", "copy", "run"]);

function holdsHeredocs(node: SyntaxNode): boolean {
  const subject = node.keyword.toLowerCase() === "onbuild" ? (node.child ?? node) : node;
  return canHoldHeredoc.has(subject.keyword.toLowerCase()) && !subject.json;
}

function nodeFromLine(
  line: string,
  escape: EscapeCharacter,
  placed: { readonly range: LineRange; readonly comments: readonly string[] },
): SyntaxNode {
  const { keyword, flags, rest } = splitCommand(line, escape);
  const lower = keyword.toLowerCase();
  const base = { ...placed.range, keyword, flags, original: line, heredocs: [], comments: placed.comments };
  if (lower === "onbuild") {
    if (rest === "") return { ...base, args: [], json: false, child: undefined };
    const child = nodeFromLine(rest, escape, { range: placed.range, comments: [] });
    return { ...base, args: [child.keyword, ...child.args], json: false, child };
  }
  const parse = lineParsers.get(lower);
  // An unknown keyword is reported when the instruction is looked at, after errors of the text itself.
  const parsed = parse === undefined ? { args: [""], json: false } : parse(rest, escape);
  return { ...base, args: parsed.args, json: parsed.json, child: undefined };
}

class TreeReader {
  readonly #lines: LineSource;
  readonly #directives = new DirectiveReader();
  readonly #nodes: SyntaxNode[] = [];
  readonly #emptyContinuations: EmptyContinuation[] = [];
  #escape: EscapeCharacter = "\\";
  #continuation = continuationPattern("\\");
  #comments: string[] = [];
  #line = 0;

  constructor(text: string) {
    this.#lines = new LineSource(text);
  }

  read(): SyntaxTree {
    for (let raw = this.#lines.next(); raw !== undefined; raw = this.#lines.next()) {
      const first = this.#firstLine(this.#line === 0 && raw.startsWith("\ufeff") ? raw.slice(1) : raw);
      if (first !== undefined) this.#instruction(first);
    }
    if (this.#nodes.length === 0) throw this.#fail("file with no instructions", this.#line);
    if (this.#lines.tooLong)
      throw this.#fail(`dockerfile line greater than max allowed size of ${maxLineBytes}`, this.#line);
    return { nodes: this.#nodes, escape: this.#escape, emptyContinuations: this.#emptyContinuations };
  }

  #fail(message: string, line: number, endLine = line): unknown {
    return withPlace(problem(message), { phase: "parse", line, endLine });
  }

  /** A line without its end, comments and (at the start of an instruction) leading blanks; directives take effect. */
  #clean(raw: string, position: "start" | "continuation"): { readonly text: string; readonly isDirective: boolean } {
    const bare = trimNewline(raw);
    const text = position === "start" ? trimLeftSpace(bare) : bare;
    try {
      const directive = this.#directives.read(text);
      if (directive?.name === "escape") this.#setEscape(directive.value);
      return { text: isComment(text) ? "" : text, isDirective: directive !== undefined };
    } catch (error) {
      throw withPlace(error, { phase: "parse", line: this.#line, endLine: this.#line });
    }
  }

  #setEscape(value: string): void {
    if (value !== "`" && value !== "\\") throw problem(`invalid escape token '${value}' does not match \` or \\`);
    this.#escape = value;
    this.#continuation = continuationPattern(value);
  }

  /** Undefined for a line that starts no instruction: blank, comment or directive. */
  #firstLine(raw: string): { readonly text: string; readonly complete: boolean } | undefined {
    const comment = isComment(raw) ? trimSpace(raw.slice(1)) : undefined;
    const { text, isDirective } = this.#clean(raw, "start");
    if (comment === "") this.#comments = [];
    else if (comment !== undefined && !isDirective) this.#comments.push(comment);
    this.#line += 1;
    const trimmed = this.#trimContinuation(text);
    return trimmed.complete && trimmed.text === "" ? undefined : trimmed;
  }

  #trimContinuation(text: string): { readonly text: string; readonly complete: boolean } {
    const match = this.#continuation.exec(text);
    return match === null
      ? { text, complete: true }
      : { text: text.slice(0, match.index) + (match[1] ?? ""), complete: false };
  }

  #instruction(first: { readonly text: string; readonly complete: boolean }): void {
    const start = this.#line;
    const parts = [first.text];
    let complete = first.complete;
    let hasEmpty = false;
    while (!complete) {
      const raw = this.#lines.next();
      if (raw === undefined) break;
      const { text } = this.#clean(raw, "continuation");
      this.#line += 1;
      if (isComment(raw)) continue;
      if (trimLeftSpace(text) === "") {
        hasEmpty = true;
        continue;
      }
      const trimmed = this.#trimContinuation(text);
      complete = trimmed.complete;
      parts.push(trimmed.text);
    }
    const original = parts.join("");
    if (hasEmpty) this.#emptyContinuations.push({ line: this.#line, original });
    this.#nodes.push(this.#node(original, start));
    this.#comments = [];
  }

  #node(original: string, start: number): SyntaxNode {
    const range = { start, end: this.#line };
    try {
      const node = nodeFromLine(original, this.#escape, { range, comments: this.#comments });
      const heredocs = holdsHeredocs(node) ? this.#heredocs(original) : [];
      return { ...node, heredocs, end: this.#line };
    } catch (error) {
      throw placeOf(error) === undefined
        ? withPlace(error, { phase: "parse", line: start, endLine: this.#line })
        : error;
    }
  }

  #heredocs(original: string): readonly Heredoc[] {
    return heredocMarks(original).map((mark) => {
      const content: string[] = [];
      for (let raw = this.#lines.next(); raw !== undefined; raw = this.#lines.next()) {
        this.#line += 1;
        const bare = trimNewline(raw);
        if ((mark.chomp ? bare.replace(/^\t+/, "") : bare) === mark.name) return { ...mark, content: content.join("") };
        content.push(raw);
      }
      throw problem("unterminated heredoc");
    });
  }
}

/** An escape at the end of the line, unless another escape is before it. */
function continuationPattern(escape: EscapeCharacter): RegExp {
  const one = escape === "\\" ? "\\\\" : "`";
  return new RegExp(`(^|[^${one}])${one}[ \\t]*$`);
}

/** Parses a Dockerfile.
 *  @throws build/invalid with the place (see `placeOf`): nothing in it, an open heredoc, a malformed line. */
export function parseSyntax(text: string): SyntaxTree {
  return new TreeReader(text).read();
}
