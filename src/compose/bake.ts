/** Builds of a project as the file that `docker buildx bake` takes: what `docker compose build --print` prints. Pure. */
import type { Project, Service, Ulimit } from "../spec/model.ts";
import { parseBytes } from "../spec/units.ts";

import { requestsOf } from "./build.ts";
import { serviceOf, type BuildOverrides, type BuildRequest } from "./build-request.ts";

type Json = Readonly<Record<string, unknown>>;

export function bakeFile(project: Project, overrides: BuildOverrides & { readonly push: boolean }): Json {
  const requests = requestsOf(project, overrides);
  const targets = [...requests].map(([service, request]) => {
    const spec = serviceOf(project, service);
    return [service, spec === undefined ? {} : bakeTarget({ spec, request, overrides })] as const;
  });
  return { group: { default: { targets: [...requests.keys()] } }, target: Object.fromEntries(targets) };
}

function bakeTarget({
  spec,
  request,
  overrides,
}: {
  readonly spec: Service;
  readonly request: BuildRequest;
  readonly overrides: BuildOverrides & { readonly push: boolean };
}): Json {
  const build = spec.build ?? {};
  const isInline = build.dockerfile_inline !== undefined;
  const platforms = spec.platform === undefined ? (build.platforms ?? []) : [spec.platform];
  return withoutEmpty({
    context: build.context ?? ".",
    contexts: contextsOf(build.additional_contexts ?? {}),
    dockerfile: isInline ? undefined : dockerfileOf(build.context ?? ".", request.dockerfile),
    "dockerfile-inline": build.dockerfile_inline,
    args: parseJson(request.query["buildargs"]),
    labels: parseJson(request.query["labels"]),
    tags: [...(build.tags ?? []), request.reference],
    "cache-from": request.cacheFrom,
    "cache-to": request.cacheTo,
    target: build.target,
    secret: request.secrets.map(({ id, file, environment }) =>
      environment === undefined ? `id=${id},type=file,src=${file ?? ""}` : `id=${id},type=env,env=${environment}`,
    ),
    ssh: request.ssh.map(({ id, path }) => `${id}=${path ?? ""}`),
    platforms,
    pull: request.query["pull"] === undefined ? undefined : true,
    "no-cache": request.query["nocache"] === undefined ? undefined : true,
    network: build.network,
    "no-cache-filter": build.no_cache_filter,
    "shm-size": build.shm_size === undefined ? undefined : String(parseBytes(build.shm_size)),
    ulimits: Object.entries(build.ulimits ?? {}).map(([name, limit]) => `${name}=${ulimitText(limit)}`),
    entitlements: request.entitlements,
    "extra-hosts": extraHosts(build.extra_hosts ?? []),
    output: [overrides.push && spec.image !== undefined ? "type=registry" : outputOf(platforms.length)],
    attest: [...attestation("provenance", build.provenance), ...attestation("sbom", build.sbom)],
  });
}

function outputOf(platforms: number): string {
  return platforms > 1 ? "type=image,push=false" : "type=docker";
}

function ulimitText(limit: Ulimit): string {
  return typeof limit === "number" ? String(limit) : `${limit.soft ?? limit.hard}:${limit.hard ?? limit.soft}`;
}

function contextsOf(given: Readonly<Record<string, string>>): Json {
  return Object.fromEntries(
    Object.entries(given).map(([name, value]) => [name, value.replace(/^service:/, "target:")]),
  );
}

function extraHosts(given: readonly string[]): Json {
  const hosts = new Map<string, string>();
  for (const entry of given) {
    const at = entry.search(/[=:]/);
    const [name, address] = [entry.slice(0, at), entry.slice(at + 1)];
    const known = hosts.get(name);
    hosts.set(name, known === undefined ? address : `${known},${address}`);
  }
  return Object.fromEntries(hosts);
}

function attestation(type: string, given: string | undefined): readonly string[] {
  if (given === undefined || given === "") return [];
  if (given === "true") return [`type=${type}`];
  return given === "false" ? [`type=${type},disabled=true`] : [`type=${type},${given}`];
}

/** Relative ones below the context, as bake reads them; absolute ones as they are. */
function dockerfileOf(context: string, dockerfile: string): string {
  if (!context.startsWith("/") || dockerfile.startsWith("/")) return dockerfile;
  const parts: string[] = [];
  for (const part of `${context}/${dockerfile}`.split("/")) {
    if (part === "..") parts.pop();
    else if (part !== "" && part !== ".") parts.push(part);
  }
  return `/${parts.join("/")}`;
}

function parseJson(text: unknown): unknown {
  return typeof text === "string" ? JSON.parse(text) : undefined;
}

function withoutEmpty(values: Json): Json {
  return Object.fromEntries(
    Object.entries(values).filter(([, value]) => {
      if (value === undefined || value === null || value === "") return false;
      return typeof value !== "object" || Object.keys(value).length > 0;
    }),
  );
}
