import { makeDict } from "./bind/decode.ts";
import { serviceFieldOrder } from "./bind/service.ts";
import { parseDotenv, parseRawEnv } from "./dotenv.ts";
import type { DotenvOptions } from "./dotenv.ts";
import { lineSpan, readTextFile, warnSwallowed } from "./env-context.ts";
import type { FileSource } from "./file-source.ts";
import { linkTo } from "./layer.ts";
import type { Dict, EnvFile, Service } from "./model.ts";
import { absolutePath } from "./paths.ts";
import type { Report } from "./report.ts";
import { nearest } from "./tree.ts";
import type { Node } from "./tree.ts";

/** Where a variable or label that a file set was set, for `--explain`: `service\0name` to place. */
export type FileOrigins = Map<string, { readonly file: string; readonly line: number; readonly value: string }[]>;

export interface ServiceFiles {
  readonly files: FileSource;
  readonly report: Report;
  readonly environment: Dict<string>;
  readonly tree: Node;
  readonly origins: FileOrigins;
  /** For paths that were left relative. */
  readonly cwd: string;
  readonly readEnvFiles: boolean;
}

/** Reads `env_file` under `environment` and `label_file` under `labels`. The list of env files is gone afterwards: its content
 *  counts, not its name. */
export function withFilesRead(name: string, service: Service, context: ServiceFiles): Service {
  const withEnvironment = context.readEnvFiles ? readEnvironment(name, service, context) : service;
  return readLabels(name, withEnvironment, context);
}

export function answered(
  environment: Dict<string | null> | undefined,
  project: Dict<string>,
): readonly (readonly [string, string | null])[] {
  return Object.entries(environment ?? {}).map(([key, value]) => {
    return [key, value ?? (Object.hasOwn(project, key) ? (project[key] ?? null) : null)] as const;
  });
}

function readEnvironment(name: string, service: Service, context: ServiceFiles): Service {
  const open = Object.values(service.environment ?? {}).includes(null);
  if (service.env_file === undefined && !open) return service;
  const own = new Map(answered(service.environment, context.environment));
  if (service.env_file === undefined)
    return own.size === 0 ? service : withField(service, "environment", makeDict(own));
  const values = new Map<string, string>();
  for (const [key, value] of own) if (value !== null) values.set(key, value);
  for (const [index, file] of service.env_file.entries()) {
    readEnvFile(file, ["services", name, "env_file", String(index)], name, values, own, context);
  }
  const merged = makeDict(new Map<string, string | null>([...values, ...own]));
  const { env_file: _, ...rest } = service;
  return Object.keys(merged).length === 0 ? (rest as Service) : withField(service, "environment", merged, "env_file");
}

function readEnvFile(
  file: EnvFile,
  path: readonly string[],
  service: string,
  values: Map<string, string>,
  own: ReadonlyMap<string, string | null>,
  context: ServiceFiles,
): void {
  const { files, report } = context;
  const filePath = absolutePath(file.path ?? "", context.cwd);
  const at = nearest(context.tree, path);
  if (files.kind(filePath) === undefined) {
    if (file.required === false) return;
    report.error({
      code: "env-file",
      message: `env file ${filePath} not found`,
      path,
      at,
      suggestion: "create it, or write `required: false` beside its path",
    });
    return;
  }
  if (file.format !== undefined && file.format !== "" && file.format !== "raw" && file.format !== ".env") {
    const message = `${path.join(".")}.format is "${file.format}"`;
    report.error({ code: "env-file", message, path, at, expected: "raw, or nothing" });
    return;
  }
  const source = readTextFile(filePath, "env file", "env-file", [linkTo(at, "read by")], files, report);
  if (source === undefined) return;
  const options: DotenvOptions = {
    values,
    lookup: (key) => (Object.hasOwn(context.environment, key) ? context.environment[key] : (own.get(key) ?? undefined)),
    onUnset: (key, line) => {
      warnSwallowed(source, key, line, report);
    },
    onValue: (key, line) => {
      remember(context.origins, `env\0${service}\0${key}`, filePath, line, values.get(key) ?? "");
    },
  };
  const problem = (file.format === "raw" ? parseRawEnv : parseDotenv)(source.text, options);
  if (problem !== undefined) {
    report.error({ code: "env-file", message: problem.message, path, at: lineSpan(source, problem.line) });
  }
}

function remember(origins: FileOrigins, key: string, file: string, line: number, value: string): void {
  const list = origins.get(key) ?? [];
  list.push({ file, line, value });
  origins.set(key, list);
}

function readLabels(name: string, service: Service, context: ServiceFiles): Service {
  if (service.label_file === undefined) return service;
  const { files, report } = context;
  const labels = new Map<string, string>();
  for (const [index, given] of service.label_file.entries()) {
    const path = absolutePath(given, context.cwd);
    const place = ["services", name, "label_file", String(index)];
    const at = nearest(context.tree, place);
    if (files.kind(path) === undefined) {
      report.error({ code: "label-file", message: `label file ${path} not found`, path: place, at });
      continue;
    }
    const source = readTextFile(path, "label file", "label-file", [linkTo(at, "read by")], files, report);
    if (source === undefined) continue;
    // Earlier label files answer variables, the environment does not. Keys of one file do not see those before it twice.
    const values = new Map<string, string>();
    const problem = parseDotenv(source.text, {
      values,
      lookup: (key) => labels.get(key),
      onValue: (key, line) => {
        remember(context.origins, `label\0${name}\0${key}`, path, line, values.get(key) ?? "");
      },
      onUnset: (key, line) => {
        warnSwallowed(source, key, line, report);
      },
    });
    if (problem !== undefined) {
      report.error({ code: "label-file", message: problem.message, path: place, at: lineSpan(source, problem.line) });
    }
    for (const [key, value] of values) labels.set(key, value);
  }
  for (const [key, value] of Object.entries(service.labels ?? {})) labels.set(key, value);
  return labels.size === 0 ? service : withField(service, "labels", makeDict(labels));
}

/** The service with one field set, in its place in the order of fields. */
function withField(service: Service, key: "environment" | "labels", value: unknown, without?: keyof Service): Service {
  const result: Record<string, unknown> = {};
  const pending = new Set<string>(fieldsAfter(key));
  let set = false;
  for (const [name, old] of Object.entries(service)) {
    if (name === without) continue;
    if (!set && (name === key || pending.has(name) || name.startsWith("x-"))) {
      result[key] = value;
      set = true;
    }
    if (name !== key) result[name] = old;
  }
  if (!set) result[key] = value;
  return result as unknown as Service;
}

function fieldsAfter(key: "environment" | "labels"): readonly string[] {
  const at = serviceFieldOrder.indexOf(key);
  return serviceFieldOrder.slice(at + 1);
}
