/** A service's `build:` to what the engine is asked. Pure. */
import { TscomposeError } from "../errors.ts";
import { imageName } from "../planner/names.ts";
import { label as labelNames } from "../planner/labels.ts";
import type { Build, Project, Service, Ulimit } from "../spec/model.ts";
import { parseBytes } from "../spec/units.ts";

import type { SecretSource, SshSource } from "./context.ts";

export interface BuildOverrides {
  readonly noCache: boolean;
  readonly pull: boolean;
  /** On top of the file's. */
  readonly args: Readonly<Record<string, string>>;
  readonly memoryBytes: number | undefined;
  readonly ssh: readonly SshSource[];
  /** In front of the file's. */
  readonly cacheFrom?: readonly string[];
  readonly cacheTo?: readonly string[];
}

export type ContextReference =
  | { readonly kind: "folder"; readonly directory: string }
  /** A git repository or an archive, for the engine to fetch. */
  | { readonly kind: "remote"; readonly url: string }
  | { readonly kind: "image"; readonly reference: string }
  /** What the build of that service gives. */
  | { readonly kind: "service"; readonly service: string }
  | { readonly kind: "layout"; readonly directory: string; readonly name: string };

export interface BuildRequest {
  readonly reference: string;
  readonly context: Extract<ContextReference, { readonly kind: "folder" | "remote" }>;
  /** By name. */
  readonly contexts: Readonly<Record<string, ContextReference>>;
  /** Relative to the context. */
  readonly dockerfile: string;
  readonly dockerfileText: string | undefined;
  /** Empty: that of the engine. */
  readonly platforms: readonly string[];
  /** Of `POST /build`. */
  readonly query: Readonly<Record<string, unknown>>;
  readonly entitlements: readonly string[];
  readonly noCacheFilter: readonly string[];
  /** `type=...,...`, or an image. */
  readonly cacheFrom: readonly string[];
  readonly cacheTo: readonly string[];
  readonly secrets: readonly SecretSource[];
  readonly ssh: readonly SshSource[];
  /** Attributes that have no effect here, for a warning. */
  readonly ignored: readonly string[];
}

function unsupported(service: string, attribute: string, hint: string): TscomposeError {
  return new TscomposeError("request/unsupported", `service ${service}: build.${attribute} is not supported`, { hint });
}

function ulimits(given: Readonly<Record<string, Ulimit>>): readonly object[] {
  return Object.entries(given).map(([Name, limit]) => {
    if (typeof limit === "number") return { Name, Soft: limit, Hard: limit };
    const { soft = limit.hard ?? 0, hard = limit.soft ?? 0 } = limit;
    return { Name, Soft: soft, Hard: hard };
  });
}

function secretsOf(project: Project, service: string, build: Build): readonly SecretSource[] {
  return (build.secrets ?? []).map(({ source = "", target }) => {
    const secret = project.secrets?.[source];
    if (secret === undefined) {
      throw new TscomposeError("spec/invalid", `service ${service}: build secret ${source} is not defined`);
    }
    const { file, environment, content: text } = secret;
    if (file === undefined && environment === undefined && text === undefined) {
      throw unsupported(service, `secrets: ${source}`, "give the secret a file or an environment variable");
    }
    return { id: target ?? source, file, environment, text };
  });
}

function platformsOf(spec: Service, build: Build): readonly string[] {
  return spec.platform === undefined ? (build.platforms ?? []) : [spec.platform];
}

const remote = /^(?:https?|git|ssh):\/\/|^git@|^github\.com\//;

/** Images by name, folders, repositories, other services, OCI layouts (`oci-layout://folder[:tag|@digest]`).
 *  @throws request/unsupported */
function contextReference(service: string, name: string, value: string): ContextReference {
  if (remote.test(value)) return { kind: "remote", url: value };
  const scheme = /^([a-z-]+):\/\/(.*)$/s.exec(value);
  if (value.startsWith("service:")) return { kind: "service", service: value.slice("service:".length) };
  if (scheme === null) return { kind: "folder", directory: value };
  const [, kind, rest = ""] = scheme;
  if (kind === "docker-image") return { kind: "image", reference: rest };
  if (kind === "oci-layout") {
    const parts = /^(.*?)(?:@(sha256:[0-9a-f]{64})|:([\w][\w.-]{0,127}))?$/s.exec(rest);
    return { kind: "layout", directory: parts?.[1] ?? rest, name: parts?.[2] ?? parts?.[3] ?? "" };
  }
  throw unsupported(
    service,
    `additional_contexts: ${name}: ${value}`,
    "use a folder, a git or https URL, docker-image://, oci-layout:// or service:",
  );
}

function mainContext(service: string, value: string): BuildRequest["context"] {
  const found = contextReference(service, "context", value);
  if (found.kind === "folder" || found.kind === "remote") return found;
  throw unsupported(service, `context ${value}`, "use a folder, or the URL of a git repository or an archive");
}

/** Whether the attribute asks for something. `false` and an empty list do not. */
function isGiven(value: unknown): boolean {
  if (value === undefined || value === null || value === false || value === "false" || value === "") return false;
  return !Array.isArray(value) || value.length > 0;
}

function checkIsolation(service: string, { isolation }: Build): void {
  if (isGiven(isolation) && isolation !== "default") throw unsupported(service, "isolation", "it is for Windows");
}

/** Where a service is, whether it takes part or not. */
export function serviceOf(project: Project, name: string): Service | undefined {
  return [project.services, project.disabledServices].find((services) => Object.hasOwn(services, name))?.[name];
}

/** @throws request/unsupported, spec/invalid */
export function buildRequest(project: Project, service: string, overrides: BuildOverrides): BuildRequest {
  const spec = serviceOf(project, service);
  const build = spec?.build;
  if (spec === undefined || build === undefined) throw new Error(`service ${service} has no build`);
  checkIsolation(service, build);
  const reference = imageName(project, service, spec);
  const ignored = (["provenance", "sbom"] as const).filter((key) => isGiven(build[key]));
  const described = (build.secrets ?? []).some(({ uid, gid, mode }) => isGiven(uid) || isGiven(gid) || isGiven(mode));
  return {
    reference,
    context: mainContext(service, build.context ?? "."),
    contexts: Object.fromEntries(
      Object.entries(build.additional_contexts ?? {}).map(([name, value]) => [
        name,
        contextReference(service, name, value),
      ]),
    ),
    dockerfile: build.dockerfile ?? "Dockerfile",
    dockerfileText: build.dockerfile_inline,
    platforms: platformsOf(spec, build),
    query: queryOf({ project, service, build, reference }, overrides),
    entitlements: [...(build.entitlements ?? []), ...(build.privileged === true ? ["security.insecure"] : [])],
    noCacheFilter: build.no_cache_filter ?? [],
    cacheFrom: [...(overrides.cacheFrom ?? []), ...(build.cache_from ?? [])],
    cacheTo: [...(overrides.cacheTo ?? []), ...(build.cache_to ?? [])],
    secrets: secretsOf(project, service, build),
    ssh: [...(build.ssh ?? []).map(({ id, path }) => ({ id, path: path === "" ? undefined : path })), ...overrides.ssh],
    ignored: described ? [...ignored, "secrets: uid, gid or mode (set them in RUN --mount=type=secret)"] : ignored,
  };
}

interface Subject {
  readonly project: Project;
  readonly service: string;
  readonly build: Build;
  readonly reference: string;
}

function queryOf(
  { project, service, build, reference }: Subject,
  overrides: BuildOverrides,
): Readonly<Record<string, unknown>> {
  const shmSize = build.shm_size === undefined ? undefined : parseBytes(build.shm_size);
  const query = {
    t: [...new Set([reference, ...(build.tags ?? [])])],
    dockerfile: build.dockerfile,
    target: build.target,
    buildargs: JSON.stringify({ ...givenValues(build.args ?? {}), ...overrides.args }),
    labels: JSON.stringify({
      ...build.labels,
      [labelNames.project]: project.name,
      [labelNames.service]: service,
    }),
    nocache: overrides.noCache || build.no_cache === true ? "1" : undefined,
    pull: overrides.pull || build.pull === true ? "1" : undefined,
    networkmode: build.network,
    extrahosts: build.extra_hosts,
    shmsize: shmSize === undefined ? undefined : String(shmSize),
    memory: overrides.memoryBytes === undefined ? undefined : String(overrides.memoryBytes),
    ulimits: build.ulimits === undefined ? undefined : JSON.stringify(ulimits(build.ulimits)),
    version: "1",
  };
  return Object.fromEntries(Object.entries(query).filter(([, value]) => value !== undefined));
}

function givenValues(values: Readonly<Record<string, string | null>>): Readonly<Record<string, string>> {
  const given = Object.entries(values).filter((entry): entry is [string, string] => entry[1] !== null);
  return Object.fromEntries(given);
}
