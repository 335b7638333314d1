/** Collects build check findings, and knows which rules a Dockerfile has turned off. */
import { errorMessage, TscomposeError } from "../../../errors.ts";
import { DirectiveReader, readDirectives } from "../dockerfile/directives.ts";
import { cut, goQuote, trimSpace } from "../dockerfile/go-text.ts";
import type { LineRange } from "../dockerfile/syntax-tree.ts";
import type { Rule } from "./rules.ts";

export interface Finding {
  readonly rule: Rule;
  readonly message: string;
  readonly place: LineRange;
}

export interface LintOptions {
  readonly skipAll: boolean;
  readonly skip: readonly string[];
  readonly experimentalAll: boolean;
  readonly experimental: readonly string[];
  /** Findings fail the build. */
  readonly asErrors: boolean;
}

export const defaultLintOptions: LintOptions = {
  skipAll: false,
  skip: [],
  experimentalAll: false,
  experimental: [],
  asErrors: false,
};

function ruleNames(value: string): readonly string[] {
  return value.split(",").map(trimSpace);
}

/** `skip=A,B;error=true;experimental=all`, the value of `# check=`.
 *  @throws build/invalid */
export function parseLintOptions(text: string): LintOptions {
  const trimmed = trimSpace(text);
  let options = defaultLintOptions;
  if (trimmed === "") return options;
  for (const part of trimmed.split(";")) {
    const { before, after } = cut(part, "=");
    const key = trimSpace(before);
    const value = trimSpace(after ?? "");
    if (after === undefined) throw new TscomposeError("build/invalid", `invalid check option ${goQuote(part)}`);
    if (key === "skip")
      options = value === "all" ? { ...options, skipAll: true } : { ...options, skip: ruleNames(value) };
    else if (key === "experimental")
      options =
        value === "all" ? { ...options, experimentalAll: true } : { ...options, experimental: ruleNames(value) };
    else if (key === "error" && /^(?:1|t|T|true|TRUE|True|0|f|F|false|FALSE|False)$/.test(value))
      options = { ...options, asErrors: /^[1tT]/.test(value) };
    else throw new TscomposeError("build/invalid", `invalid check option ${goQuote(key === "error" ? part : key)}`);
  }
  return options;
}

/** The options of the `# check=` line of a Dockerfile. */
export function lintOptionsOf(dockerfile: string): LintOptions {
  const directive = readDirectives(dockerfile).find(({ name }) => name === "check");
  try {
    return parseLintOptions(directive === undefined ? "" : cut(directive.value, " ").before);
  } catch (error) {
    throw new TscomposeError("build/invalid", `failed to parse check options: ${errorMessage(error)}`, {
      cause: error,
      hint: "write # check=skip=RULE,RULE;error=true, or take the line out",
    });
  }
}

/** The options of a comment right above an instruction, which add to those of the file. */
function optionsIn(comments: readonly string[]): LintOptions | undefined {
  for (const comment of comments) {
    const directive = new DirectiveReader("").read(comment);
    if (directive?.name !== "check") continue;
    try {
      return parseLintOptions(cut(directive.value, " ").before);
    } catch {
      return undefined;
    }
  }
  return undefined;
}

export class Linter {
  readonly #options: LintOptions;
  readonly #findings: Finding[];

  constructor(options: LintOptions, findings: Finding[] = []) {
    this.#options = options;
    this.#findings = findings;
  }

  get findings(): readonly Finding[] {
    return this.#findings;
  }

  /** The same list of findings under the options of `comments` as well. */
  withComments(comments: readonly string[]): Linter {
    const more = optionsIn(comments);
    if (more === undefined) return this;
    const merged: LintOptions = {
      ...this.#options,
      skipAll: this.#options.skipAll || more.skipAll,
      skip: [...this.#options.skip, ...more.skip],
      experimentalAll: this.#options.experimentalAll || more.experimentalAll,
      experimental: [...this.#options.experimental, ...more.experimental],
    };
    return new Linter(merged, this.#findings);
  }

  report(rule: Rule, place: LineRange, message: string): void {
    const { skipAll, skip, experimentalAll, experimental } = this.#options;
    const runs =
      rule.experimental === true
        ? experimentalAll || experimental.includes(rule.name)
        : !skipAll && !skip.includes(rule.name);
    if (runs) this.#findings.push({ rule, message, place: { start: place.start, end: place.end } });
  }

  /** @throws build/invalid where the Dockerfile wants findings to be errors and there are some. */
  finish(): void {
    if (!this.#options.asErrors || this.#findings.length === 0) return;
    const names = [...new Set(this.#findings.map(({ rule }) => rule.name))].toSorted();
    throw new TscomposeError("build/invalid", `lint violation found for rules: ${names.join(", ")}`, {
      hint: "mend what the warnings say, or take error=true out of the # check= line",
    });
  }
}
