import { TscomposeError } from "../errors.ts";
import type { Project, Service } from "../spec/model.ts";

/** The project with other numbers of replicas. @throws request/not-found for a service it does not have. */
export function withScales(project: Project, scales: ReadonlyMap<string, number>): Project {
  if (scales.size === 0) return project;
  const services: Record<string, Service> = Object.assign(
    Object.create(null) as Record<string, Service>,
    project.services,
  );
  for (const [name, replicas] of scales) {
    const service = project.services[name];
    if (service === undefined) {
      throw new TscomposeError("request/not-found", `no such service: ${name}`, {
        hint: `services: ${Object.keys(project.services).join(", ")}`,
      });
    }
    services[name] = { ...service, scale: replicas };
  }
  return { ...project, services };
}
