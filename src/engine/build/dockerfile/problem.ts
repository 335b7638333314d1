/** Failures of the Dockerfile front end. The text is BuildKit's, word for word: people search for it. */
import { TscomposeError, isTscomposeError } from "../../../errors.ts";

/** Where it went wrong. Lines count from 1; 0 means before the first. `end` is the last line of the instruction. */
export interface ProblemPlace {
  readonly phase: "parse" | "instructions";
  readonly line: number;
  readonly endLine: number;
}

export function problem(message: string, hint?: string): TscomposeError {
  return new TscomposeError("build/invalid", message, hint === undefined ? {} : { hint });
}

/** The same failure with its place; one that has a place already keeps it. Anything else passes through. */
export function withPlace(cause: unknown, place: ProblemPlace, message?: string): unknown {
  if (!isTscomposeError(cause, "build/invalid") || "line" in cause.details) return cause;
  return new TscomposeError("build/invalid", message ?? cause.message, {
    details: { ...cause.details, ...place },
    ...(cause.hint === undefined ? {} : { hint: cause.hint }),
  });
}

/** The place of a failure of this front end; undefined for any other error. */
export function placeOf(cause: unknown): ProblemPlace | undefined {
  if (!isTscomposeError(cause, "build/invalid")) return undefined;
  const { phase, line, endLine } = cause.details;
  if ((phase !== "parse" && phase !== "instructions") || typeof line !== "number") return undefined;
  return { phase, line, endLine: typeof endLine === "number" ? endLine : line };
}
