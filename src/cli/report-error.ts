import { errorMessage, isTscomposeError } from "../errors.ts";
import type { Diagnostic } from "../spec/diagnostic.ts";
import { formatDiagnostic } from "../spec/format-diagnostic.ts";

export interface ReportOptions {
  readonly json: boolean;
  readonly colour: boolean;
  /** With causes and the stack. */
  readonly verbose: boolean;
}

/** What the user sees of a failure: message, place, remedy. Pure. Ends in a line end. */
export function reportError(error: unknown, { json, colour, verbose }: ReportOptions): string {
  const diagnostics = diagnosticsOf(error);
  // Problems in files carry their own.
  const hint = isTscomposeError(error) && diagnostics.length === 0 ? error.hint : undefined;
  if (json) {
    const code = isTscomposeError(error) ? { code: error.code } : {};
    const more = diagnostics.length > 0 ? { diagnostics } : {};
    const remedy = hint === undefined ? {} : { hint };
    return `${JSON.stringify({ error: true, message: errorMessage(error), ...code, ...remedy, ...more })}\n`;
  }
  const red = (text: string): string => (colour ? `\u001b[31m${text}\u001b[39m` : text);
  const lines =
    diagnostics.length > 0 ? diagnostics.map(formatDiagnostic) : [`${red("error:")} ${printable(errorMessage(error))}`];
  if (hint !== undefined) lines.push(`  hint: ${printable(hint)}`);
  if (verbose || !isTscomposeError(error)) lines.push(...detailsOf(error, verbose));
  return `${lines.join("\n")}\n`;
}

function diagnosticsOf(error: unknown): readonly Diagnostic[] {
  if (!isTscomposeError(error, "spec/invalid")) return [];
  const found = error.details["diagnostics"];
  return Array.isArray(found) ? (found as readonly Diagnostic[]) : [];
}

/** A fault of ours shows where it happened; the user's errors do so only when asked. */
function detailsOf(error: unknown, verbose: boolean): readonly string[] {
  if (!(error instanceof Error)) return [];
  const lines = isTscomposeError(error) ? [] : (error.stack ?? "").split("\n").slice(1);
  for (let { cause } = error; verbose && cause instanceof Error; { cause } = cause)
    lines.push(`  cause: ${cause.message}`);
  return lines;
}

/** Messages carry names from images, registries and files: control characters in them must not reach the terminal. */
export function printable(text: string): string {
  // eslint-disable-next-line no-control-regex
  return text.replace(/[\u0000-\u0009\u000b-\u001f\u007f-\u009f]/g, (character) =>
    character === "\t" ? character : `\\x${character.charCodeAt(0).toString(16).padStart(2, "0")}`,
  );
}
