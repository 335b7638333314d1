import { makeDict } from "./bind/decode.ts";
import { nearestName } from "./near-miss.ts";
import type { Dict, Project, Service } from "./model.ts";
import type { Report } from "./report.ts";

/** Functions from project to project: which services are on, and what they need. */

export function isEnabled(service: Service, profiles: readonly string[]): boolean {
  const own = service.profiles ?? [];
  return own.length === 0 || profiles.some((profile) => profile === "*" || own.includes(profile));
}

export function withProfiles(project: Project, profiles: readonly string[]): Project {
  const all = [...Object.entries(project.services), ...Object.entries(project.disabledServices)];
  return {
    ...project,
    profiles,
    services: makeDict(all.filter(([, service]) => isEnabled(service, profiles))),
    disabledServices: makeDict(all.filter(([, service]) => !isEnabled(service, profiles))),
  };
}

/** Names may be globs. They switch on the profiles of the services they name, and nothing but these services and (unless
 *  `ignore`) their dependencies stays on. */
export function withSelectedServices(
  project: Project,
  names: readonly string[],
  dependencies: "include" | "ignore",
  report: Report,
): Project {
  if (names.length === 0) return project;
  const profiles = names.flatMap((name) =>
    Object.hasOwn(project.services, name) ? [] : (ownService(project.disabledServices, name)?.profiles ?? []),
  );
  const enabled = profiles.length === 0 ? project : withProfiles(project, [...project.profiles, ...profiles]);
  const wanted = new Set<string>();
  for (const name of names) {
    const matches = Object.keys(enabled.services).filter((service) => matchesGlob(name, service));
    if (matches.length === 0) reportUnknownService(name, enabled, report);
    for (const match of matches) collect(match, enabled, dependencies, wanted, report);
  }
  const kept = Object.entries(enabled.services).filter(([name]) => wanted.has(name));
  const dropped = Object.entries(enabled.services).filter(([name]) => !wanted.has(name));
  return {
    ...enabled,
    services: makeDict(kept.map(([name, service]) => [name, withDependencies(service, wanted)] as const)),
    disabledServices: makeDict([...Object.entries(enabled.disabledServices), ...dropped]),
  };
}

function ownService(services: Dict<Service>, name: string): Service | undefined {
  return Object.hasOwn(services, name) ? services[name] : undefined;
}

function collect(
  name: string,
  project: Project,
  dependencies: "include" | "ignore",
  wanted: Set<string>,
  report: Report,
): void {
  if (wanted.has(name)) return;
  wanted.add(name);
  if (dependencies === "ignore") return;
  const service = ownService(project.services, name);
  for (const [target, dependency] of Object.entries(service?.depends_on ?? {})) {
    if (Object.hasOwn(project.services, target)) collect(target, project, dependencies, wanted, report);
    else if (dependency.required) reportUnknownService(target, project, report);
  }
}

function reportUnknownService(name: string, project: Project, report: Report): void {
  const near = nearestName(name, [...Object.keys(project.services), ...Object.keys(project.disabledServices)]);
  report.error({
    code: "undefined-reference",
    message: `no such service: ${name}`,
    suggestion: near === undefined || near === name ? undefined : `did you mean "${near}"?`,
  });
}

function withDependencies(service: Service, wanted: ReadonlySet<string>): Service {
  const { depends_on: edges } = service;
  if (edges === undefined || Object.keys(edges).every((name) => wanted.has(name))) return service;
  const kept = Object.entries(edges).filter(([name]) => wanted.has(name));
  const changed: Record<string, unknown> = {};
  for (const [key, value] of Object.entries(service)) {
    if (key !== "depends_on") changed[key] = value;
    else if (kept.length > 0) changed[key] = makeDict(kept);
  }
  return changed as unknown as Service;
}

/** `*`, `?` and `[...]`, as Go's `filepath.Match` on one path element. */
function matchesGlob(pattern: string, name: string): boolean {
  if (!/[*?[\\]/.test(pattern)) return pattern === name;
  const source = pattern.replace(/\\(.)|\[\^?(?:\\.|[^\]\\])+\]|[*?]|[.+^${}()|\]/[\\]/g, (piece, escaped?: string) => {
    if (escaped !== undefined) return escaped.replace(/[.*+?^${}()|[\]\\/]/g, "\\$&");
    if (piece === "*") return "[^/]*";
    if (piece === "?") return "[^/]";
    return piece.startsWith("[") && piece.length > 1 ? piece : `\\${piece}`;
  });
  try {
    return new RegExp(`^${source}$`, "su").test(name);
  } catch {
    return false;
  }
}

/** Only what an enabled service uses. */
export function withoutUnused(project: Project): Project {
  const used = {
    networks: new Set<string>(),
    volumes: new Set<string>(),
    secrets: new Set<string>(),
    configs: new Set<string>(),
    models: new Set<string>(),
  };
  for (const service of Object.values(project.services)) {
    for (const name of Object.keys(service.networks ?? {})) used.networks.add(name);
    for (const mount of service.volumes ?? []) if (mount.type === "volume") used.volumes.add(mount.source ?? "");
    for (const secret of service.secrets ?? []) used.secrets.add(secret.source ?? "");
    for (const secret of service.build?.secrets ?? []) used.secrets.add(secret.source ?? "");
    for (const config of service.configs ?? []) used.configs.add(config.source ?? "");
    for (const name of Object.keys(service.models ?? {})) used.models.add(name);
  }
  const keep = <T>(resources: Dict<T>, names: ReadonlySet<string>): Dict<T> =>
    makeDict(Object.entries(resources).filter(([name]) => names.has(name)));
  return {
    ...project,
    networks: keep(project.networks, used.networks),
    volumes: keep(project.volumes, used.volumes),
    secrets: keep(project.secrets, used.secrets),
    configs: keep(project.configs, used.configs),
    models: keep(project.models, used.models),
  };
}
