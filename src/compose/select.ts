import { TscomposeError } from "../errors.ts";
import type { ObservedContainer } from "../planner/observed.ts";

import type { ProjectReference } from "./context.ts";

/** @throws request/not-found for a service that neither the model nor any container knows. */
export function checkServices(
  { project, name }: ProjectReference,
  containers: readonly ObservedContainer[],
  services: readonly string[],
): void {
  for (const service of services) {
    const known =
      project === undefined
        ? containers.some((container) => container.service === service)
        : Object.hasOwn(project.services, service) || Object.hasOwn(project.disabledServices, service);
    if (!known) {
      throw new TscomposeError("request/not-found", `no such service: ${service}`, {
        hint:
          project === undefined
            ? `project ${name} has no container of it`
            : `services: ${Object.keys(project.services).join(", ")}`,
      });
    }
  }
}

/** Containers of the services named (all, if none), without one-offs. */
export function serviceContainers(
  containers: readonly ObservedContainer[],
  services: readonly string[],
): readonly ObservedContainer[] {
  return containers.filter(
    (container) =>
      !container.oneoff && container.service !== "" && (services.length === 0 || services.includes(container.service)),
  );
}

/** One replica of a service for `exec` and the like: the one of that number, else the first; one-offs come last.
 *  @throws request/not-found */
export function oneContainer(
  containers: readonly ObservedContainer[],
  service: string,
  { index, running }: { readonly index: number; readonly running: boolean },
): ObservedContainer {
  const candidates = containers
    .filter(
      (container) =>
        container.service === service && (!running || container.state === "running" || container.state === "paused"),
    )
    .filter((container) => index === 0 || container.number === index)
    .toSorted((a, b) => Number(a.oneoff) - Number(b.oneoff) || a.number - b.number);
  const [first] = candidates;
  if (first !== undefined) return first;
  if (index > 0) {
    throw new TscomposeError(
      "request/not-found",
      `service "${service}" has no ${running ? "running " : ""}container #${index}`,
    );
  }
  throw new TscomposeError(
    "request/not-found",
    running ? `service "${service}" is not running` : `no container found for service "${service}"`,
    { hint: `start it: tscompose up -d ${service}` },
  );
}
