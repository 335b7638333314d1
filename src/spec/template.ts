/** `$VAR`, `${VAR}`, `${VAR:-default}` and the rest. Source: compose-spec "interpolation", as Docker Compose reads it: an
 *  expression with an operator must end on the line it begins on, and ends at the brace that balances it. */

export interface Variables {
  lookup(name: string): string | undefined;
  /** Called for a variable that has no value and no default. */
  onUnset(name: string): void;
}

export type TemplateProblem =
  | { readonly kind: "invalid"; readonly template: string; readonly at: number }
  | { readonly kind: "required"; readonly name: string; readonly reason: string };

export class TemplateError extends Error {
  readonly problem: TemplateProblem;

  constructor(problem: TemplateProblem) {
    super(problem.kind);
    this.problem = problem;
  }
}

const named = /[_a-z][_a-z0-9]*/iy;
const operators = [":-", ":?", ":+", "-", "?", "+"] as const;
type Operator = (typeof operators)[number];

/** One `$...` of a text. `end` is behind it. */
export interface Expression {
  readonly start: number;
  readonly end: number;
  readonly name: string;
  readonly operator?: Operator;
  readonly operand?: string;
}

/** @throws TemplateError for the first fault; the rest of the text is still gone through, for its warnings. */
export function substitute(template: string, variables: Variables): string {
  if (!template.includes("$")) return template;
  let result = "";
  let from = 0;
  let problem: TemplateError | undefined;
  for (;;) {
    const at = template.indexOf("$", from);
    if (at === -1) break;
    result += template.slice(from, at);
    try {
      const piece = readExpression(template, at);
      if (typeof piece === "string") result += piece;
      else result += evaluate(piece, variables);
      from = typeof piece === "string" ? at + (template[at + 1] === "$" ? 2 : 1) : piece.end;
    } catch (error) {
      if (!(error instanceof TemplateError)) throw error;
      problem ??= error;
      from = at + 2;
    }
  }
  if (problem !== undefined) throw problem;
  return result + template.slice(from);
}

/** The expression at `at`, or the literal text that stands there. */
export function readExpression(template: string, at: number): Expression | string {
  if (template[at + 1] === "$") return "$";
  const braced = template[at + 1] === "{";
  named.lastIndex = at + (braced ? 2 : 1);
  const name = named.exec(template)?.[0];
  if (!braced) return name === undefined ? "$" : { start: at, end: at + 1 + name.length, name };
  const invalid = (): TemplateError => new TemplateError({ kind: "invalid", template, at });
  if (name === undefined) throw invalid();
  const afterName = at + 2 + name.length;
  if (template[afterName] === "}") return { start: at, end: afterName + 1, name };
  const operator = operators.find((candidate) => template.startsWith(candidate, afterName));
  const lineEnd = template.indexOf("\n", afterName);
  const line = template.slice(0, lineEnd === -1 ? undefined : lineEnd);
  const last = line.lastIndexOf("}");
  if (operator === undefined || last < afterName + operator.length) throw invalid();
  const end = closingBrace(line, at, last) ?? last;
  return { start: at, end: end + 1, name, operator, operand: template.slice(afterName + operator.length, end) };
}

/** Every `{` opens, and hides the character behind it. Undefined where the braces do not balance. */
function closingBrace(text: string, from: number, last: number): number | undefined {
  let open = 0;
  for (let at = from; at <= last; at++) {
    if (text[at] === "}" && --open === 0) return at;
    if (text[at] === "{") {
      open++;
      at++;
    }
  }
  return undefined;
}

function evaluate(expression: Expression, variables: Variables): string {
  const { name, operator, operand = "" } = expression;
  const value = variables.lookup(name);
  if (operator === undefined) {
    if (value === undefined) variables.onUnset(name);
    return value ?? "";
  }
  const missing = value === undefined || (operator.startsWith(":") && value === "");
  if (operator.endsWith("+")) return missing ? (value ?? "") : substitute(operand, variables);
  if (!missing) return value;
  const text = substitute(operand, variables);
  if (operator.endsWith("?")) throw new TemplateError({ kind: "required", name, reason: text });
  return text;
}

export interface TemplateVariable {
  readonly name: string;
  readonly defaultValue: string;
  readonly presenceValue: string;
  readonly required: boolean;
}

/** Every variable a text mentions, those inside defaults too, in the order Docker Compose's `config --variables` finds them. */
export function extractVariables(template: string): TemplateVariable[] {
  const found: TemplateVariable[] = [];
  let at = template.indexOf("$");
  while (at !== -1) {
    let end = at + 1;
    try {
      const piece = readExpression(template, at);
      if (typeof piece === "string") end = at + (template[at + 1] === "$" ? 2 : 1);
      else {
        found.push(
          describe(piece),
          ...extractVariables(piece.operator?.endsWith("?") === true ? "" : (piece.operand ?? "")),
        );
        end = piece.end;
      }
    } catch (error) {
      if (!(error instanceof TemplateError)) throw error;
      end = at + 2;
    }
    at = template.indexOf("$", end);
  }
  return found;
}

function describe(expression: Expression): TemplateVariable {
  const { name, operator, operand = "" } = expression;
  return {
    name,
    defaultValue: operator?.endsWith("-") === true ? operand : "",
    presenceValue: operator?.endsWith("+") === true ? operand : "",
    required: operator?.endsWith("?") === true,
  };
}
