/** Parser directives: `# escape=`, `# syntax=`, `# check=` in the first lines of a Dockerfile. */
import { cut, trimLeftSpace } from "./go-text.ts";
import { problem } from "./problem.ts";

export type DirectiveName = "escape" | "syntax" | "check";

export interface Directive {
  readonly name: DirectiveName;
  readonly value: string;
  /** From 1. */
  readonly line: number;
}

const form = /^([a-zA-Z][a-zA-Z0-9]*)[\t\n\f\r ]*=([^\n]+)$/;

const blanks = new Set(["\t", "\n", "\f", "\r", " "]);

function trimBlanks(text: string): string {
  let start = 0;
  let end = text.length;
  while (start < end && blanks.has(text.charAt(start))) start += 1;
  while (end > start && blanks.has(text.charAt(end - 1))) end -= 1;
  return text.slice(start, end);
}

function isDirectiveName(name: string): name is DirectiveName {
  return name === "escape" || name === "syntax" || name === "check";
}

/** Reads directives line by line until the first line that is none; from then on every answer is undefined. */
export class DirectiveReader {
  readonly #comment: string;
  readonly #seen = new Set<string>();
  #line: number;
  #done = false;

  constructor(comment: "#" | "//" | "" = "#", linesBefore = 0) {
    this.#comment = comment;
    this.#line = linesBefore;
  }

  get done(): boolean {
    return this.#done;
  }

  /** @throws build/invalid for a directive that was given before. */
  read(line: string): Directive | undefined {
    this.#line += 1;
    if (this.#done) return undefined;
    const match = line.startsWith(this.#comment)
      ? form.exec(trimLeftSpace(line.slice(this.#comment.length)))
      : undefined;
    const name = (match?.[1] ?? "").toLowerCase();
    const given = match?.[2] ?? "";
    // Nothing but blanks: the last of them is the value.
    const value = trimBlanks(given) || given.slice(-1);
    if (!isDirectiveName(name) || value === "") {
      this.#done = true;
      return undefined;
    }
    if (this.#seen.has(name)) throw problem(`only one ${name} parser directive can be used`);
    this.#seen.add(name);
    return { name, value, line: this.#line };
  }
}

function allDirectives(text: string, reader: DirectiveReader): readonly Directive[] {
  const found: Directive[] = [];
  for (const line of text.split("\n")) {
    if (reader.done) break;
    try {
      const directive = reader.read(line.endsWith("\r") ? line.slice(0, -1) : line);
      if (directive !== undefined) found.push(directive);
    } catch {
      // A repeated directive is reported by the parser itself; what came before it still counts here.
      break;
    }
  }
  return found;
}

function withoutBom(text: string): string {
  return text.startsWith("\ufeff") ? text.slice(1) : text;
}

/** The directives of a Dockerfile, in order. */
export function readDirectives(text: string): readonly Directive[] {
  return allDirectives(withoutBom(text), new DirectiveReader());
}

/** The front end image that a build file asks for: `# syntax=`, `// syntax=` or `{"syntax": ...}`, below a `#!` line or
 *  not; its first word. Undefined where it asks for none. */
export function detectSyntax(text: string): string | undefined {
  let body = withoutBom(text);
  const hasShebang = body.startsWith("#!");
  if (hasShebang) body = cut(body, "\n").after ?? "";
  for (const comment of ["#", "//"] as const) {
    const directives = allDirectives(body, new DirectiveReader(comment, hasShebang ? 1 : 0));
    const syntax = directives.find((directive) => directive.name === "syntax");
    if (syntax !== undefined) return cut(syntax.value, " ").before;
  }
  if (!trimLeftSpace(body).startsWith("{")) return undefined;
  try {
    const value: unknown = JSON.parse(body);
    if (typeof value !== "object" || value === null || !("syntax" in value)) return undefined;
    return typeof value.syntax === "string" ? value.syntax : undefined;
  } catch {
    return undefined;
  }
}
