/** A service's `build:` to what the engine is asked. Pure. */
import { TscomposeError } from "../errors.ts";
import { imageName } from "../planner/names.ts";
import { label as labelNames } from "../planner/labels.ts";
import type { Build, Project, Service, Ulimit } from "../spec/model.ts";
import { parseBytes } from "../spec/units.ts";

import type { SecretSource } from "./context.ts";

export interface BuildOverrides {
  readonly noCache: boolean;
  readonly pull: boolean;
  /** On top of the file's. */
  readonly args: Readonly<Record<string, string>>;
  readonly memoryBytes: number | undefined;
}

export interface BuildRequest {
  readonly reference: string;
  readonly contextDirectory: string;
  /** Relative to the context. */
  readonly dockerfile: string;
  readonly dockerfileText: string | undefined;
  /** Of `POST /build`. */
  readonly query: Readonly<Record<string, unknown>>;
  readonly entitlements: readonly string[];
  readonly secrets: readonly SecretSource[];
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

function platformOf(service: string, spec: Service, build: Build): string | undefined {
  const platforms = build.platforms ?? [];
  if (spec.platform !== undefined) return spec.platform;
  if (platforms.length <= 1) return platforms[0];
  throw unsupported(service, "platforms with several entries", "set platform on the service, and build one at a time");
}

function checkContext(service: string, context: string): void {
  if (!/^(?:https?|git|ssh):\/\/|^git@|^github\.com\//.test(context)) return;
  throw unsupported(service, `context ${context}`, "check the repository out, and name its folder");
}

/** Whether the attribute asks for something. `false` and an empty list do not. */
function isGiven(value: unknown): boolean {
  if (value === undefined || value === null || value === false || value === "false" || value === "") return false;
  return !Array.isArray(value) || value.length > 0;
}

/** @throws request/unsupported, spec/invalid */
export function buildRequest(project: Project, service: string, overrides: BuildOverrides): BuildRequest {
  const spec = project.services[service];
  const build = spec?.build;
  if (spec === undefined || build === undefined) throw new Error(`service ${service} has no build`);
  const context = build.context ?? ".";
  checkContext(service, context);
  if (isGiven(build.ssh)) throw unsupported(service, "ssh", "use a secret in its place");
  if (isGiven(build.additional_contexts)) {
    throw unsupported(service, "additional_contexts", "use a stage of the Dockerfile in its place");
  }
  if (isGiven(build.isolation)) throw unsupported(service, "isolation", "it is for Windows");
  const reference = imageName(project, service, spec);
  const args = { ...givenValues(build.args ?? {}), ...overrides.args };
  const shmSize = build.shm_size === undefined ? undefined : parseBytes(build.shm_size);
  const query = {
    t: [...new Set([reference, ...(build.tags ?? [])])],
    dockerfile: build.dockerfile,
    target: build.target,
    buildargs: JSON.stringify(args),
    labels: JSON.stringify({
      ...build.labels,
      [labelNames.project]: project.name,
      [labelNames.service]: service,
    }),
    platform: platformOf(service, spec, build),
    nocache: overrides.noCache || build.no_cache === true ? "1" : undefined,
    pull: overrides.pull || build.pull === true ? "1" : undefined,
    networkmode: build.network,
    extrahosts: build.extra_hosts,
    shmsize: shmSize === undefined ? undefined : String(shmSize),
    memory: overrides.memoryBytes === undefined ? undefined : String(overrides.memoryBytes),
    ulimits: build.ulimits === undefined ? undefined : JSON.stringify(ulimits(build.ulimits)),
    version: "1",
  };
  const ignored = (["cache_from", "cache_to", "provenance", "sbom", "no_cache_filter"] as const).filter((key) =>
    isGiven(build[key]),
  );
  return {
    reference,
    contextDirectory: context,
    dockerfile: build.dockerfile ?? "Dockerfile",
    dockerfileText: build.dockerfile_inline,
    query: Object.fromEntries(Object.entries(query).filter(([, value]) => value !== undefined)),
    entitlements: [...(build.entitlements ?? []), ...(build.privileged === true ? ["security.insecure"] : [])],
    secrets: secretsOf(project, service, build),
    ignored,
  };
}

function givenValues(values: Readonly<Record<string, string | null>>): Readonly<Record<string, string>> {
  const given = Object.entries(values).filter((entry): entry is [string, string] => entry[1] !== null);
  return Object.fromEntries(given);
}
