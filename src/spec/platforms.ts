import { TscomposeError } from "../errors.ts";

import { makeDict } from "./bind/decode.ts";
import { serviceFieldOrder } from "./bind/service.ts";
import type { Project, Service } from "./model.ts";

/** `DOCKER_DEFAULT_PLATFORM` for built services that name no platform; part of the config hash.
 *  @throws TscomposeError `spec/invalid` where the build does not support the platform. */
export function withPlatforms(project: Project): Project {
  const fallback = Object.hasOwn(project.environment, "DOCKER_DEFAULT_PLATFORM")
    ? (project.environment["DOCKER_DEFAULT_PLATFORM"] ?? "")
    : "";
  if (fallback === "") return project;
  const services = Object.entries(project.services).map(([name, service]) => {
    return [name, service.build === undefined ? service : withPlatform(name, service, fallback)] as const;
  });
  return { ...project, services: makeDict(services) };
}

function withPlatform(name: string, service: Service, fallback: string): Service {
  if (service.platform !== undefined) return service;
  const supported = service.build?.platforms ?? [];
  if (supported.length > 0 && !supported.includes(fallback)) {
    throw new TscomposeError("spec/invalid", `build.platforms of service "${name}" do not include ${fallback}`, {
      hint: "add it, or unset DOCKER_DEFAULT_PLATFORM",
    });
  }
  const fields = new Map<string, unknown>(Object.entries(service)).set("platform", fallback);
  const ordered = serviceFieldOrder.filter((key) => fields.has(key)).map((key) => [key, fields.get(key)]);
  const extensions = Object.entries(service).filter(([key]) => key.startsWith("x-"));
  return Object.fromEntries([...ordered, ...extensions]) as unknown as Service;
}
