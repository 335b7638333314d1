import { castKinds, castTable } from "./casts.ts";
import type { CastKind } from "./casts.ts";
import { step } from "./path-table.ts";
import type { PathTable } from "./path-table.ts";
import type { Report } from "./report.ts";
import type { Span } from "./source.ts";
import { TemplateError, substitute } from "./template.ts";
import { mapChildren, withScalar } from "./tree.ts";
import { mayBeTrap, warnOfTrap } from "./yaml-traps.ts";
import type { Node, ScalarNode, TreePath } from "./tree.ts";

/** Interpolates every text value (never a key) and casts the paths of the cast table. Faults are all reported; a value with
 *  one keeps its text. */
export function interpolate(root: Node, lookup: (name: string) => string | undefined, report: Report): Node {
  return walk(root, castTable, [], { lookup, report });
}

interface Interpolation {
  lookup(name: string): string | undefined;
  readonly report: Report;
}

function walk(node: Node, casts: PathTable<CastKind> | undefined, path: string[], context: Interpolation): Node {
  if (node.kind !== "scalar") {
    return mapChildren(node, (value, key) => {
      if (mayBeTrap(value)) warnOfTrap(value, [...path, key], context.report);
      if (value.kind === "scalar" && typeof value.value !== "string") return value;
      const table = step(casts, key);
      // The common case, text without a variable where nothing is cast, makes no path.
      if (value.kind === "scalar" && table?.value === undefined && !hasVariable(value)) return value;
      path.push(key);
      const result = walk(value, table, path, context);
      path.pop();
      return result;
    });
  }
  return interpolateScalar(node, casts?.value, path, context);
}

function hasVariable(node: ScalarNode): boolean {
  return typeof node.value === "string" && node.value.includes("$");
}

function interpolateScalar(node: ScalarNode, cast: CastKind | undefined, path: TreePath, context: Interpolation): Node {
  if (typeof node.value !== "string") return node;
  const written = node.value;
  const text = substituteIn(node, written, path, context);
  if (text === undefined) return node;
  const changed = text === written ? node : withScalar(node, text, false, written);
  if (cast === undefined) return changed;
  const result = castKinds[cast](text);
  if (result === undefined) {
    const shown = path.join(".");
    context.report.error({
      code: "cast",
      message: `${shown} must be ${articled(cast)}, not ${text === "" ? "empty" : `"${text}"`}`,
      path,
      at: node,
      expected: articled(cast),
      suggestion: text === "" && written !== "" ? `give the variable in ${written} a value or a default` : undefined,
    });
    return changed;
  }
  if (result.trap === true) {
    const word = String(result.value);
    context.report.warning({
      code: "yaml-trap",
      message: `"${text}" is YAML 1.1's word for ${word}`,
      path,
      at: node,
      suggestion: `write ${word}`,
    });
  }
  return withScalar(changed, result.value, result.float ?? false, changed.written);
}

export function articled(kind: string): string {
  return /^[aeiou]/.test(kind) ? `an ${kind}` : `a ${kind}`;
}

function substituteIn(node: ScalarNode, text: string, path: TreePath, context: Interpolation): string | undefined {
  try {
    return substitute(text, {
      lookup: (name) => context.lookup(name),
      onUnset: (name) => {
        context.report.warning({
          code: "unset-variable",
          message: `variable "${name}" is not set; it becomes an empty string`,
          path,
          at: mentionOf(node, name),
          suggestion: `set it, or write \${${name}:-default}`,
        });
      },
    });
  } catch (error) {
    if (!(error instanceof TemplateError)) throw error;
    reportTemplate(error, node, path, context.report);
    return undefined;
  }
}

function reportTemplate(error: TemplateError, node: ScalarNode, path: TreePath, report: Report): void {
  const { problem } = error;
  if (problem.kind === "required") {
    const reason = problem.reason === "" ? "" : `: ${problem.reason}`;
    report.error({
      code: "required-variable",
      message: `required variable ${problem.name} is missing a value${reason}`,
      path,
      at: mentionOf(node, problem.name),
      suggestion: `set ${problem.name} in the environment or in .env`,
    });
    return;
  }
  report.error({
    code: "interpolation",
    message: `not a valid variable: ${problem.template.slice(problem.at, problem.at + 40)}`,
    path,
    at: node,
    expected: "$NAME or ${NAME}, with an operator such as ${NAME:-default}",
    suggestion: "for a plain dollar sign write $$",
  });
}

/** Where the variable stands in the source, if it can be found there; else the whole value. */
function mentionOf(node: ScalarNode, name: string): Span {
  const text = node.file.text.slice(node.start, node.end);
  const match = new RegExp(`\\$\\{?${name}(?![_a-zA-Z0-9])`).exec(text);
  if (match === null) return node;
  const start = node.start + match.index;
  return { file: node.file, start, end: start + match[0].length };
}
