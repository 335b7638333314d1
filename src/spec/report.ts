import type { ChainLink, Diagnostic, DiagnosticCode, Severity } from "./diagnostic.ts";
import { placeOf } from "./source.ts";
import type { Span } from "./source.ts";

export interface Problem {
  readonly code: DiagnosticCode;
  readonly message: string;
  readonly path?: readonly string[];
  /** Where; without it the problem belongs to no file. */
  readonly at?: Span | undefined;
  readonly expected?: string | undefined;
  readonly suggestion?: string | undefined;
  /** Goes before the chain of the file itself. */
  readonly chain?: readonly ChainLink[];
}

/** Gathers problems. More than this many errors help nobody. */
const maxErrors = 100;

export class Report {
  readonly #diagnostics: Diagnostic[] = [];
  readonly #seen = new Set<string>();
  #errors = 0;

  get errors(): number {
    return this.#errors;
  }

  get diagnostics(): readonly Diagnostic[] {
    return this.#diagnostics;
  }

  error(problem: Problem): void {
    this.#add("error", problem);
  }

  warning(problem: Problem): void {
    this.#add("warning", problem);
  }

  #add(severity: Severity, problem: Problem): void {
    const key = `${severity}\0${problem.message}\0${problem.at?.file.path ?? ""}\0${String(problem.at?.start ?? "")}`;
    if (this.#seen.has(key) || (severity === "error" && this.#errors >= maxErrors)) return;
    this.#seen.add(key);
    if (severity === "error") this.#errors++;
    this.#diagnostics.push({
      severity,
      code: problem.code,
      message: problem.message,
      // Walkers reuse their path arrays.
      path: [...(problem.path ?? [])],
      ...(problem.at === undefined ? {} : { place: placeOf(problem.at) }),
      ...(problem.expected === undefined ? {} : { expected: problem.expected }),
      ...(problem.suggestion === undefined ? {} : { suggestion: problem.suggestion }),
      chain: [...(problem.chain ?? []), ...(problem.at?.file.chain ?? [])],
    });
  }
}
