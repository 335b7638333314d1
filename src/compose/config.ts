import { TscomposeError } from "../errors.ts";
import { serviceConfigHash } from "../spec/config-hash.ts";
import type { Diagnostic } from "../spec/diagnostic.ts";
import { parseModelPath } from "../spec/explain.ts";
import type { FileSource } from "../spec/file-source.ts";
import { loadModel, loadProject } from "../spec/load-project.ts";
import type { LoadOptions, LoadResult, Origin, SkippablePhase } from "../spec/load-options.ts";
import type { Project, Service } from "../spec/model.ts";
import { renderJson, renderModelTree, renderYaml } from "../spec/render.ts";
import type { Rendered } from "../spec/render.ts";
import type { TemplateVariable } from "../spec/template.ts";
import { treeVariables } from "../spec/variables.ts";
import { withPlatforms } from "../spec/platforms.ts";
import { writeYaml } from "../spec/yaml/write.ts";

import { pinned } from "./image-digest.ts";

/** The use case behind `config`: compose files in, text or data out. Nothing here prints. */
export interface ConfigRequest {
  readonly load: LoadOptions;
  readonly files: FileSource;
}

export interface ConfigText {
  /** Ends in a line break. */
  readonly text: string;
  readonly diagnostics: readonly Diagnostic[];
}

export interface RenderRequest extends ConfigRequest {
  readonly format: "yaml" | "json";
  /** Resolves an image reference to its digest (`sha256:...`), for `--resolve-image-digests`. */
  readonly resolveDigest?: (image: string) => Promise<string>;
  /** `--lock-image-digests`: an override file with the digests alone. */
  readonly lockOnly?: boolean;
}

/** `config`, `--no-interpolate` and the other flags that leave a phase out included (they are in `load.without`). */
export async function renderConfig(request: RenderRequest): Promise<ConfigText> {
  const { load, files, format } = request;
  if (load.without?.has("interpolation") === true) {
    const { tree, diagnostics } = await loadModel(load, files);
    return { text: print(renderModelTree(tree), format), diagnostics };
  }
  const { project, diagnostics } = await loadProject(load, files);
  const digested = request.resolveDigest === undefined ? project : await withDigests(project, request.resolveDigest);
  const rendered = render(request.lockOnly === true ? imagesOnly(digested) : digested, format);
  // A dollar sign would be a variable to whoever reads this back.
  return { text: print(rendered, format).replaceAll("$", "$$$$"), diagnostics };
}

function print(rendered: Rendered, format: "yaml" | "json"): string {
  return format === "yaml" ? writeYaml(rendered) : `${JSON.stringify(rendered, null, 2)}\n`;
}

function render(project: Project, format: "yaml" | "json"): Rendered {
  if (format === "yaml") return renderYaml(project);
  try {
    return renderJson(project);
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    throw new TscomposeError("compose/failed", `cannot write the model as JSON: ${error.message}`, {
      hint: "use --format yaml; the JSON form has no way to say it",
      cause: error,
    });
  }
}

async function withDigests(project: Project, resolve: (image: string) => Promise<string>): Promise<Project> {
  const services = await Promise.all(
    Object.entries(project.services).map(async ([name, service]): Promise<[string, Service]> => {
      const image = await pinned(service.image, resolve);
      return [name, image === undefined ? service : { ...service, image }];
    }),
  );
  return { ...project, services: asDict(services) };
}

function imagesOnly(project: Project): Project {
  const services = Object.entries(project.services).map(([name, service]): [string, Service] => {
    const volumes = (service.volumes ?? []).filter((mount) => mount.type === "image");
    const image = service.image === undefined ? {} : { image: service.image };
    return [name, { command: null, entrypoint: null, ...image, ...(volumes.length === 0 ? {} : { volumes }) }];
  });
  const none = asDict<never>([]);
  const empty = { networks: none, volumes: none, secrets: none, configs: none, models: none, extensions: none };
  return { ...project, ...empty, name: "", services: asDict(services) };
}

function asDict<T>(pairs: Iterable<readonly [string, T]>): Record<string, T> {
  const dict = Object.create(null) as Record<string, T>;
  for (const [key, value] of pairs) dict[key] = value;
  return dict;
}

/** One name a line in the flags of `config` that list names. */
export type ConfigList = "services" | "volumes" | "networks" | "models" | "profiles" | "images";

export async function listConfig(request: ConfigRequest, what: ConfigList): Promise<readonly string[]> {
  const without = new Set<SkippablePhase>([...(request.load.without ?? []), "env-files"]);
  const { project } = await loadProject({ ...request.load, without }, request.files);
  switch (what) {
    case "services":
      return inDependencyOrder(project);
    case "volumes":
      return Object.keys(project.volumes);
    case "networks":
      return Object.keys(project.networks);
    case "models":
      return Object.values(project.models).flatMap((model) => model.model ?? []);
    case "profiles":
      return profilesOf(project);
    case "images":
      return Object.entries(project.services).flatMap(([name, service]) => imagesOf(name, service, project));
  }
}

/** Dependencies go before what needs them. */
function inDependencyOrder(project: Project): string[] {
  const order = new Set<string>();
  const visit = (name: string): void => {
    if (order.has(name) || !Object.hasOwn(project.services, name)) return;
    for (const target of Object.keys(project.services[name]?.depends_on ?? {})) visit(target);
    order.add(name);
  };
  for (const name of Object.keys(project.services)) visit(name);
  return [...order];
}

function profilesOf(project: Project): string[] {
  const all = [...Object.values(project.services), ...Object.values(project.disabledServices)];
  return [...new Set(all.flatMap((service) => service.profiles ?? []))].sort();
}

function imagesOf(name: string, service: Service, project: Project): string[] {
  const own = service.image ?? `${project.name}${project.separator}${name}`;
  const hooks = (service.pre_start ?? []).flatMap((hook) => hook.image ?? []);
  return [own, ...hooks.filter((image) => image !== own)];
}

/** `--hash`: `*`, or names separated by commas. */
export async function configHashes(
  request: ConfigRequest,
  names: string,
): Promise<readonly { readonly service: string; readonly hash: string }[]> {
  const services = names === "*" ? [] : names.split(",");
  const load: LoadOptions = { ...request.load, services, dependencies: "ignore" };
  const { project } = await loadProject(load, request.files);
  return Object.entries(withPlatforms(project).services).map(([service, config]) => {
    return { service, hash: serviceConfigHash(config) };
  });
}

/** `--environment`: what variables are answered from, sorted. */
export async function configEnvironment(request: ConfigRequest): Promise<readonly string[]> {
  const { project } = await loadProject(request.load, request.files);
  return Object.entries(project.environment).map(([name, value]) => `${name}=${value}`);
}

/** `--variables`: every variable that the files mention, by name. */
export async function configVariables(request: ConfigRequest): Promise<readonly TemplateVariable[]> {
  const without = new Set<SkippablePhase>([
    ...(request.load.without ?? []),
    "interpolation",
    "validation",
    "env-files",
  ]);
  const { tree } = await loadModel({ ...request.load, without }, request.files);
  return treeVariables(tree);
}

export interface Explanation {
  readonly path: readonly string[];
  /** The value that holds, then what it won against. */
  readonly origins: readonly Origin[];
}

/** `--explain PATH`. @throws TscomposeError `compose/usage` where the model has no such value. */
export async function explainConfig(request: ConfigRequest, text: string): Promise<Explanation> {
  const result: LoadResult = await loadProject({ ...request.load, prune: "nothing" }, request.files);
  const path = parseModelPath(text, result.project);
  const origins = result.origins.explain(path);
  if (origins !== undefined) return { path, origins };
  throw new TscomposeError("compose/usage", `the model has no value at ${text}`, {
    hint: "look at the output of `config` for the path",
  });
}

/** An explanation as lines: the value, where it is from, and what it beat. */
export function formatExplanation({ path, origins }: Explanation): string {
  const [winner, ...beaten] = origins;
  if (winner === undefined) return "";
  const lines = [`${path.join(".")} = ${JSON.stringify(winner.value)}`, `  from ${formatOrigin(winner)}`];
  lines.push(...variableLines(winner));
  for (const origin of beaten) {
    lines.push(`  over ${JSON.stringify(origin.value)} from ${formatOrigin(origin)}`, ...variableLines(origin));
  }
  return `${lines.join("\n")}\n`;
}

const originWords: Readonly<Record<Origin["kind"], string>> = {
  file: "file",
  override: "override file",
  extends: "extended service in",
  include: "included file",
  "env-file": "env_file",
  dotenv: ".env",
  shell: "the shell",
  "label-file": "label_file",
  default: "default",
};

function formatOrigin(origin: Origin): string {
  const place = origin.file === undefined ? "" : ` ${origin.file}:${String(origin.line ?? 1)}`;
  const written = origin.written === undefined ? "" : `, written ${JSON.stringify(origin.written)}`;
  return `${originWords[origin.kind]}${place}${written}`;
}

function variableLines(origin: Origin): string[] {
  return (origin.variables ?? []).flatMap((variable) => {
    const beaten = (variable.beats ?? []).map(
      (beat) => `, over ${JSON.stringify(beat.value)} from ${variablePlace(beat)}`,
    );
    const value = variable.value === undefined ? "not set" : JSON.stringify(variable.value);
    return [
      `    ${variable.name} is ${value}${variable.value === undefined ? "" : ` from ${variablePlace(variable)}`}${beaten.join("")}`,
    ];
  });
}

function variablePlace(variable: { readonly kind: string; readonly file?: string; readonly line?: number }): string {
  return variable.file === undefined ? "the shell" : `${variable.file}:${String(variable.line ?? 1)}`;
}
