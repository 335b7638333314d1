import { readEnvFiles, scopeOfProcess, withVariable, withVariables } from "./env-context.ts";
import type { VariableScope } from "./env-context.ts";
import type { FileSource } from "./file-source.ts";
import type { LoadOptions } from "./load-options.ts";
import { absolutePath, cleanPath, directoryOf, isAbsolute, joinPath } from "./paths.ts";
import { isRemote, reportRemote } from "./remote.ts";
import type { Report } from "./report.ts";

export interface FoundFiles {
  /** Absolute, or `-`; empty where there is none. */
  readonly paths: readonly string[];
  readonly workingDir: string;
  readonly scope: VariableScope;
}

const names = ["compose.yaml", "compose.yml", "docker-compose.yml", "docker-compose.yaml"];
const overrides = [
  "compose.override.yml",
  "compose.override.yaml",
  "docker-compose.override.yml",
  "docker-compose.override.yaml",
];

/** Which files are meant, which folder is the project's, and what variables are answered from. `.env` is read twice: the one
 *  where the command runs may name the files, the one beside the files adds to it. */
export function findFiles(options: LoadOptions, files: FileSource, report: Report): FoundFiles {
  const given = options.files ?? [];
  let scope = scopeOfProcess(options.environment);
  if (!scope.values.has("PWD")) scope = withVariable(scope, "PWD", { value: options.cwd, kind: "shell" });
  const before = workingDirOf(given, options);
  scope = withDotenv(before, scope, options, files, report);
  const paths =
    given.length > 0 ? given.map((path) => resolve(path, options.cwd)) : chosen(scope, before, options, files, report);
  for (const path of given) if (isRemote(path)) reportRemote(path, [], undefined, report);
  const workingDir = workingDirOf(paths, options);
  if (workingDir !== before) scope = withDotenv(workingDir, scope, options, files, report);
  return { paths, workingDir, scope };
}

/** The folder by the name the user went there by: `$PWD`, where it is the same folder. A link's own name is the project's. */
export function withLogicalCwd(options: LoadOptions, files: FileSource): LoadOptions {
  const logical = options.environment["PWD"] ?? "";
  if (logical === options.cwd || !isAbsolute(logical) || cleanPath(logical) !== logical) return options;
  const real = files.realPath(logical);
  return real !== undefined && real === files.realPath(options.cwd) ? { ...options, cwd: logical } : options;
}

function resolve(path: string, cwd: string): string {
  return path === "-" ? path : absolutePath(path, cwd);
}

function workingDirOf(paths: readonly string[], options: LoadOptions): string {
  if (options.projectDirectory !== undefined && options.projectDirectory !== "") {
    return absolutePath(options.projectDirectory, options.cwd);
  }
  const first = paths.find((path) => path !== "-");
  return first === undefined || isRemote(first) ? options.cwd : directoryOf(absolutePath(first, options.cwd));
}

export function envFilesOf(options: LoadOptions): readonly string[] {
  if (options.envFiles !== undefined && options.envFiles.length > 0) return options.envFiles;
  return (options.environment["COMPOSE_ENV_FILES"] ?? "").split(",").filter((path) => path !== "");
}

function withDotenv(
  directory: string,
  scope: VariableScope,
  options: LoadOptions,
  files: FileSource,
  report: Report,
): VariableScope {
  const given = envFilesOf(options);
  const fallback = joinPath(directory, ".env");
  const useFallback = given.length === 0 && !disabled(options, report) && files.kind(fallback) === "file";
  const paths = useFallback ? [fallback] : given;
  const request = { paths, cwd: options.cwd, kind: "dotenv", chain: [] } as const;
  return withVariables(scope, readEnvFiles(request, scope, files, report));
}

const yes = new Set(["1", "t", "T", "TRUE", "true", "True"]);
const no = new Set(["0", "f", "F", "FALSE", "false", "False"]);

function disabled(options: LoadOptions, report: Report): boolean {
  const value = options.environment["COMPOSE_DISABLE_ENV_FILE"];
  if (value === undefined || no.has(value)) return false;
  if (yes.has(value)) return true;
  const message = `COMPOSE_DISABLE_ENV_FILE is "${value}"`;
  report.error({ code: "invalid-value", message, expected: "true or false" });
  return false;
}

/** `COMPOSE_FILE`, else the nearest folder upwards that has a compose file, with the override beside it. */
function chosen(
  scope: VariableScope,
  from: string,
  options: LoadOptions,
  files: FileSource,
  report: Report,
): readonly string[] {
  const listed = scope.values.get("COMPOSE_FILE")?.value;
  if (listed !== undefined) {
    const separator = scope.values.get("COMPOSE_PATH_SEPARATOR")?.value ?? "";
    return listed.split(separator === "" ? ":" : separator).map((path) => resolve(path, options.cwd));
  }
  for (let directory = from; ; directory = directoryOf(directory)) {
    const main = choose(names, "config", directory, files, report);
    if (main !== undefined) {
      const override = choose(overrides, "override", directory, files, report);
      return override === undefined ? [main] : [main, override];
    }
    if (directory === directoryOf(directory)) return [];
  }
}

function choose(
  candidates: readonly string[],
  what: string,
  directory: string,
  files: FileSource,
  report: Report,
): string | undefined {
  const found = candidates.map((name) => joinPath(directory, name)).filter((path) => files.kind(path) !== undefined);
  const [winner] = found;
  if (found.length > 1) {
    const message = `several ${what} files with supported names: ${found.join(", ")}; using ${winner ?? ""}`;
    report.warning({ code: "file-choice", message, suggestion: "name one with -f, or remove the others" });
  }
  return winner;
}
