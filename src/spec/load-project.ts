import { TscomposeError } from "../errors.ts";

import { makeDict } from "./bind/decode.ts";
import { bind } from "./bind/project.ts";
import { checkConsistency } from "./check/consistency.ts";
import { defaultScalar } from "./defaults.ts";
import type { Diagnostic } from "./diagnostic.ts";
import { lookupIn, withVariable } from "./env-context.ts";
import { explain } from "./explain.ts";
import type { FileSource } from "./file-source.ts";
import { envFilesOf, findFiles, withLogicalCwd } from "./find-files.ts";
import type { FoundFiles } from "./find-files.ts";
import { formatDiagnostic } from "./format-diagnostic.ts";
import { stopLoading, stopOnErrors } from "./layer.ts";
import type { LoadContext } from "./layer.ts";
import { loadLayer } from "./load-layer.ts";
import type { LoadOptions, LoadResult } from "./load-options.ts";
import type { Project, Service } from "./model.ts";
import { normalize } from "./normalize.ts";
import { projectName } from "./project-name.ts";
import { readDocuments } from "./read-documents.ts";
import { Report } from "./report.ts";
import { withProfiles, withSelectedServices, withoutUnused } from "./select.ts";
import { withFilesRead } from "./service-env.ts";
import type { FileOrigins } from "./service-env.ts";
import { placeOf } from "./source.ts";
import { nearest, withKey } from "./tree.ts";
import type { MapNode } from "./tree.ts";
import type { YamlLibrary } from "./yaml/library-reader.ts";
import { needsLibrary } from "./yaml/read.ts";

/** Compose files to project.
 *  @throws TscomposeError `spec/invalid`; `details.diagnostics` holds every problem found (`Diagnostic[]`, errors first). */
export async function loadProject(options: LoadOptions, files: FileSource): Promise<LoadResult> {
  return withLibraryWhenNeeded((library) => load(withLogicalCwd(options, files), files, library));
}

/** The tree before it is bound to the model, for `config --no-interpolate` and `--variables`. */
export interface LoadedModel {
  readonly tree: MapNode;
  readonly diagnostics: readonly Diagnostic[];
}

export async function loadModel(given: LoadOptions, files: FileSource): Promise<LoadedModel> {
  const options = withLogicalCwd(given, files);
  return withLibraryWhenNeeded((library) => {
    const loading = startLoading(options, files, library);
    return finishOn(loading, options, () => {
      const { tree } = loadTree(loading, options, "unanswered");
      return { tree, diagnostics: sorted(loading.context.report.diagnostics) };
    });
  });
}

async function withLibraryWhenNeeded<T>(attempt: (library: YamlLibrary | undefined) => T): Promise<T> {
  try {
    return attempt(undefined);
  } catch (error) {
    if (error !== needsLibrary) throw error;
  }
  return attempt(await import("yaml"));
}

interface Loading {
  readonly context: LoadContext;
  readonly found: FoundFiles;
}

function startLoading(options: LoadOptions, files: FileSource, library: YamlLibrary | undefined): Loading {
  const report = new Report();
  const context: LoadContext = {
    files,
    report,
    home: options.home,
    library,
    without: options.without ?? new Set(),
    documents: new Map(),
    layers: new Map(),
    scopes: new Map(),
  };
  return { context, found: findFiles(options, files, report) };
}

/** Runs `work`; errors it reports, or stops at, become `spec/invalid`. */
function finishOn<T>(loading: Loading, options: LoadOptions, work: () => T): T {
  const { report } = loading.context;
  let result: T | undefined;
  try {
    result = work();
  } catch (error) {
    if (error !== stopLoading) throw error;
  }
  const failed = report.errors > 0 || (options.strict === true && report.diagnostics.length > 0);
  if (failed || result === undefined) throw specInvalid(report.diagnostics, options);
  return result;
}

/** One error that carries all of them; with `strict`, warnings are errors too. */
export function specInvalid(
  diagnostics: readonly Diagnostic[],
  options: Pick<LoadOptions, "strict"> = {},
): TscomposeError {
  const raised =
    options.strict === true ? diagnostics.map((one): Diagnostic => ({ ...one, severity: "error" })) : diagnostics;
  const errors = raised.filter((one) => one.severity === "error");
  const [first] = errors;
  const count = errors.length === 1 ? "" : ` (and ${String(errors.length - 1)} more)`;
  const message = first === undefined ? "the compose files are not valid" : `${first.message}${count}`;
  return new TscomposeError("spec/invalid", message, {
    details: {
      diagnostics: [...sorted(errors), ...sorted(raised.filter((one) => one.severity === "warning"))],
      text: sorted(errors).map(formatDiagnostic).join("\n\n"),
    },
    ...(first?.suggestion === undefined ? {} : { hint: first.suggestion }),
  });
}

/** By file and line; what has no place comes first. */
function sorted(diagnostics: readonly Diagnostic[]): Diagnostic[] {
  return diagnostics.toSorted((a, b) => {
    const left = a.place;
    const right = b.place;
    if (left === undefined || right === undefined) return Number(left !== undefined) - Number(right !== undefined);
    if (left.file !== right.file) return left.file < right.file ? -1 : 1;
    return left.line - right.line || left.column - right.column;
  });
}

interface LoadedTree {
  readonly tree: MapNode;
  readonly name: string;
  readonly found: FoundFiles;
}

/** `unanswered`: variables keep no value, as in Docker Compose's uninterpolated model. */
function loadTree(loading: Loading, options: LoadOptions, variables: "answered" | "unanswered"): LoadedTree {
  const { context, found } = loading;
  const { report } = context;
  stopOnErrors(report);
  if (found.paths.length === 0) {
    report.error({
      code: "file-not-found",
      message: `no configuration file provided: no compose.yaml in ${found.workingDir} or above it`,
      suggestion: "create compose.yaml, or name a file with -f",
    });
  }
  stopOnErrors(report);
  const documents = found.paths.map((path, index) => readDocuments(path, index > 0 ? "override" : "file", [], context));
  stopOnErrors(report);
  const name = projectName(
    options,
    found.scope,
    found.workingDir,
    documents.map((file) => file ?? []),
    report,
  );
  stopOnErrors(report);
  const variable = { value: name ?? "", kind: "shell" } as const;
  const known = variables === "answered" ? found.scope : { values: new Map<string, never>() };
  const scope = withVariable(known, "COMPOSE_PROJECT_NAME", variable);
  const tree = loadLayer(
    {
      paths: found.paths,
      role: "file",
      chain: [],
      directory: found.workingDir,
      base: found.workingDir,
      scope,
      open: [],
    },
    context,
  );
  if (tree.entries.size === 0) {
    report.error({ code: "missing-key", message: "empty compose file", at: tree, expected: `the key "services"` });
  }
  stopOnErrors(report);
  const lookup = lookupIn(scope);
  const normal = context.without.has("normalization") ? tree : normalize(tree, { projectName: name ?? "", lookup });
  const named = context.without.has("normalization")
    ? normal
    : withKey(normal, "name", defaultScalar(name ?? "", normal));
  return { tree: named, name: name ?? "", found: { ...found, scope } };
}

function load(options: LoadOptions, files: FileSource, library: YamlLibrary | undefined): LoadResult {
  const loading = startLoading(options, files, library);
  return finishOn(loading, options, () => {
    const loaded = loadTree(loading, options, "answered");
    const { context } = loading;
    const bound = bind(loaded.tree, context.report);
    stopOnErrors(context.report);
    const { scope, workingDir, paths } = loaded.found;
    const environment = makeDict([...scope.values].map(([name, variable]) => [name, variable.value] as const));
    const project: Project = {
      name: loaded.name,
      workingDir,
      composeFiles: paths,
      environment,
      envFiles: envFilesOf(options),
      profiles: [],
      separator: options.compatibility === true || isYes(environment["COMPOSE_COMPATIBILITY"]) ? "_" : "-",
      disabledServices: makeDict([]),
      ...bound,
    };
    const origins: FileOrigins = new Map();
    const finished = finish(
      withProfiles(project, activeProfiles(options, project)),
      loaded.tree,
      options,
      context,
      origins,
    );
    const history = { tree: loaded.tree, scopes: context.scopes, fileOrigins: origins, project: finished };
    return {
      project: finished,
      diagnostics: sorted(context.report.diagnostics),
      origins: {
        explain: (path) => explain(history, path),
        place: (path) => placeOf(nearest(loaded.tree, path)),
      },
    };
  });
}

function isYes(text: string | undefined): boolean {
  return /^(?:1|t|true|y)$/i.test(text?.trim() ?? "");
}

function activeProfiles(options: LoadOptions, project: Project): readonly string[] {
  if (options.profiles !== undefined && options.profiles.length > 0) return options.profiles;
  return (project.environment["COMPOSE_PROFILES"] ?? "").split(",").map((profile) => profile.trim());
}

function finish(
  project: Project,
  tree: MapNode,
  options: LoadOptions,
  context: LoadContext,
  origins: FileOrigins,
): Project {
  const { report, files } = context;
  let result = project;
  if (!context.without.has("consistency")) {
    checkConsistency(result, tree, report);
    stopOnErrors(report);
    result = mapServices(result, (_name, service) => withReplicas(service));
  }
  result = withSelectedServices(result, options.services ?? [], options.dependencies ?? "include", report);
  stopOnErrors(report);
  if (options.prune !== "nothing") result = withoutUnused(result);
  const { environment } = result;
  const readEnvFiles = !context.without.has("env-files");
  return mapServices(result, (name, service) =>
    withFilesRead(name, service, { files, report, environment, tree, origins, cwd: options.cwd, readEnvFiles }),
  );
}

function mapServices(project: Project, change: (name: string, service: Service) => Service): Project {
  const services = Object.entries(project.services).map(([name, service]) => [name, change(name, service)] as const);
  return { ...project, services: makeDict(services) };
}

/** `scale` speaks for `deploy.replicas` where there is a `deploy`. */
function withReplicas(service: Service): Service {
  const { scale, deploy } = service;
  if (scale === undefined || deploy === undefined || deploy.replicas === scale) return service;
  const { mode, replicas: _, ...rest } = deploy;
  return { ...service, deploy: { ...(mode === undefined ? {} : { mode }), replicas: scale, ...rest } };
}
