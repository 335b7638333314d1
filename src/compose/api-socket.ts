/** `use_api_socket`: a service gets the engine's socket, and what is needed to log in to registries. As Docker Compose does it, but for
 *  the place of the socket, which is that of the engine in use. Pure. */
import type { Project, Service } from "../spec/model.ts";

/** Where clients in the container look for it. */
const socketTarget = "/var/run/docker.sock";
const configFolder = "/run/secrets/docker";
const configName = "#apisocket";

export interface ApiAccess {
  /** On the machine of the engine. */
  readonly socketPath: string;
  /** Text of docker's configuration file. */
  readonly dockerConfig: string;
}

export function usesApiSocket(project: Project): boolean {
  return Object.values(project.services).some((service) => service.use_api_socket === true);
}

/** A service that says itself where docker's configuration is gets the socket only. */
export function withApiSocket(project: Project, { socketPath, dockerConfig }: ApiAccess): Project {
  const widen = (service: Service): Service => {
    if (service.use_api_socket !== true) return service;
    const bind = { type: "bind", source: socketPath, target: socketTarget } as const;
    const volumes = [...(service.volumes ?? []), bind];
    if (service.environment?.["DOCKER_CONFIG"] !== undefined) return { ...service, volumes };
    const config = { source: configName, target: `${configFolder}/config.json` };
    return {
      ...service,
      volumes,
      configs: [...(service.configs ?? []), config],
      environment: { ...service.environment, DOCKER_CONFIG: configFolder },
    };
  };
  const services = Object.fromEntries(Object.entries(project.services).map(([name, spec]) => [name, widen(spec)]));
  return { ...project, services, configs: { ...project.configs, [configName]: { content: dockerConfig } } };
}
