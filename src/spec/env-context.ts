import { decodeSource } from "./yaml/read.ts";
import { parseDotenv } from "./dotenv.ts";
import type { FileSource } from "./file-source.ts";
import { maxFileBytes } from "./limits.ts";
import type { VariableOrigin } from "./load-options.ts";
import type { ChainLink } from "./diagnostic.ts";
import { absolutePath } from "./paths.ts";
import type { Report } from "./report.ts";
import type { SourceFile } from "./source.ts";

/** Variables that `${VAR}` is answered from, each knowing where it came from. Immutable: an include adds a layer. */
export interface VariableScope {
  readonly values: ReadonlyMap<string, Variable>;
}

export interface Variable {
  readonly value: string;
  readonly kind: VariableOrigin["kind"];
  readonly file?: string;
  readonly line?: number;
  /** Values for the same name that came later and so do not count. */
  readonly beats?: readonly Variable[];
}

export function lookupIn(scope: VariableScope): (name: string) => string | undefined {
  return (name) => scope.values.get(name)?.value;
}

export function scopeOfProcess(environment: Readonly<Record<string, string | undefined>>): VariableScope {
  const values = new Map<string, Variable>();
  for (const [name, value] of Object.entries(environment)) {
    if (value !== undefined) values.set(name, { value, kind: "shell" });
  }
  return { values };
}

/** What is set already stays: the first writer wins. */
export function withVariables(scope: VariableScope, more: ReadonlyMap<string, Variable>): VariableScope {
  const values = new Map(scope.values);
  for (const [name, variable] of more) {
    const first = values.get(name);
    values.set(name, first === undefined ? variable : { ...first, beats: [...(first.beats ?? []), variable] });
  }
  return { values };
}

export function withVariable(scope: VariableScope, name: string, variable: Variable): VariableScope {
  return { values: new Map(scope.values).set(name, variable) };
}

export interface EnvFilesRequest {
  readonly paths: readonly string[];
  readonly cwd: string;
  readonly kind: "dotenv" | "include-env";
  readonly chain: readonly ChainLink[];
}

/** Variables of `.env` files, later files over earlier ones. A file that is not there is an error. */
export function readEnvFiles(
  request: EnvFilesRequest,
  scope: VariableScope,
  files: FileSource,
  report: Report,
): ReadonlyMap<string, Variable> {
  const values = new Map<string, string>();
  const variables = new Map<string, Variable>();
  for (const given of request.paths) {
    const path = absolutePath(given, request.cwd);
    const file = readTextFile(path, "env file", "env-file", request.chain, files, report);
    if (file === undefined) continue;
    const problem = parseDotenv(file.text, {
      values,
      lookup: (name) => scope.values.get(name)?.value ?? values.get(name),
      onValue: (name, line) => {
        variables.set(name, { value: values.get(name) ?? "", kind: request.kind, file: path, line });
      },
      onUnset: (name, line) => {
        warnSwallowed(file, name, line, report);
      },
    });
    if (problem === undefined) continue;
    report.error({ code: "env-file", message: problem.message, at: lineSpan(file, problem.line) });
  }
  return variables;
}

/** A variable that nothing sets, in a value of an env file: most often a dollar sign in a password. */
export function warnSwallowed(file: SourceFile, name: string, line: number, report: Report): void {
  report.warning({
    code: "dollar-swallowed",
    message: `"$${name}" is read as a variable, which is not set, and becomes empty`,
    at: lineSpan(file, line),
    suggestion: "if a dollar sign is meant, put the value in single quotes or write $$",
  });
}

export function lineSpan(file: SourceFile, line: number): { file: SourceFile; start: number; end: number } {
  let start = 0;
  for (let at = 1; at < line; at++) start = file.text.indexOf("\n", start) + 1;
  const end = file.text.indexOf("\n", start);
  return { file, start, end: end === -1 ? file.text.length : end };
}

/** Reports, and returns undefined, where the file is missing, a folder, or no text. */
export function readTextFile(
  path: string,
  what: string,
  code: "env-file" | "label-file" | "file-not-found",
  chain: readonly ChainLink[],
  files: FileSource,
  report: Report,
): SourceFile | undefined {
  const bytes = files.read(path, maxFileBytes);
  if (bytes === undefined) {
    const folder = files.kind(path) === "directory";
    report.error({ code, message: `${what} ${path} ${folder ? "is a folder" : "not found"}`, chain });
    return undefined;
  }
  return decodeSource(bytes, path, "file", chain, report);
}
