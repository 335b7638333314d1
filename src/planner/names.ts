import type { Project, Service } from "../spec/model.ts";

export type Naming = Pick<Project, "name" | "separator">;

/** `<project>-<service>-<number>`, or what `container_name` says. */
export function containerName(
  project: Naming,
  service: string,
  spec: Pick<Service, "container_name">,
  number: number,
): string {
  return spec.container_name ?? [project.name, service, String(number)].join(project.separator);
}

/** The image of a service that is built and not named: `<project>-<service>`. */
export function imageName(project: Naming, service: string, spec: Pick<Service, "image">): string {
  return spec.image ?? `${project.name}${project.separator}${service}`;
}

/** What `logs` prints in front of a line: the container name without the project. */
export function logName(project: string, name: string): string {
  for (const separator of ["-", "_"]) {
    const prefix = project + separator;
    if (name.startsWith(prefix)) return name.slice(prefix.length);
  }
  return name;
}

/** The name a replacement carries until the old container is gone. */
export function replacementName(oldId: string, name: string): string {
  return `${oldId.slice(0, 12)}_${name}`;
}

/** The service that `network_mode`, `ipc`, `pid` or `volumes_from` points at: `service:db`. */
export function serviceOfMode(mode: string | undefined): string | undefined {
  return mode?.startsWith("service:") === true ? mode.slice("service:".length) : undefined;
}

/** Services whose containers this one's create body names by id, without repeats. `volumes_from` without a prefix is a service. */
export function namespaceServices(service: Service): readonly string[] {
  const modes = [service.network_mode, service.ipc, service.pid].map(serviceOfMode);
  const volumes = (service.volumes_from ?? []).map((entry) =>
    entry.startsWith("container:") ? undefined : entry.split(":", 1)[0],
  );
  return [...new Set([...modes, ...volumes])].filter((name) => name !== undefined);
}

/** Anonymous volumes are named by the engine: 64 hex digits. */
export function isGeneratedName(name: string): boolean {
  return /^[0-9a-f]{64}$/.test(name);
}

/** How many replicas are wanted. `scale` and `deploy.replicas` are equal where both are given (the spec layer checks). */
export function replicas(service: Service): number {
  return service.scale ?? service.deploy?.replicas ?? 1;
}
