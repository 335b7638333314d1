import type { Dict, Project, Service } from "../model.ts";
import { nearestName } from "../near-miss.ts";
import type { Complaint, ServiceRule } from "./rule.ts";

/** What a service names must exist. */

function undefinedReference(
  path: readonly string[],
  message: string,
  given: string,
  known: Dict<unknown>,
  section: string,
): Complaint {
  const near = nearestName(given, Object.keys(known));
  const declare = section === "services" ? undefined : `declare it under the top-level "${section}"`;
  const suggestion = near === undefined ? declare : `did you mean "${near}"?`;
  return { code: "undefined-reference", message, path, suggestion };
}

export const networksExist: ServiceRule = (name, service, project) =>
  Object.keys(service.networks ?? {}).flatMap((network) => {
    if (Object.hasOwn(project.networks, network)) return [];
    const message = `service "${name}" refers to undefined network ${network}`;
    return [
      undefinedReference(["services", name, "networks", network], message, network, project.networks, "networks"),
    ];
  });

export const volumesExist: ServiceRule = (name, service, project) =>
  (service.volumes ?? []).flatMap((mount, index) => {
    const source = mount.source ?? "";
    if (mount.type !== "volume" || source === "" || Object.hasOwn(project.volumes, source)) return [];
    const message = `service "${name}" refers to undefined volume ${source}`;
    const path = ["services", name, "volumes", String(index)];
    return [undefinedReference(path, message, source, project.volumes, "volumes")];
  });

function fileReferences(
  key: "secrets" | "configs",
  word: string,
  pick: (service: Service) => Service["secrets"],
  under: readonly string[],
): ServiceRule {
  return (name, service, project) =>
    (pick(service) ?? []).flatMap((reference, index) => {
      const source = reference.source ?? "";
      if (Object.hasOwn(project[key], source)) return [];
      const message = `service "${name}" refers to undefined ${word} ${source}`;
      const path = ["services", name, ...under, String(index)];
      return [undefinedReference(path, message, source, project[key], key)];
    });
}

export const secretsExist = fileReferences("secrets", "secret", (service) => service.secrets, ["secrets"]);
export const configsExist = fileReferences("configs", "config", (service) => service.configs, ["configs"]);
export const buildSecretsExist = fileReferences("secrets", "build secret", (service) => service.build?.secrets, [
  "build",
  "secrets",
]);

export const modelsExist: ServiceRule = (name, service, project) =>
  Object.keys(service.models ?? {}).flatMap((model) => {
    if (Object.hasOwn(project.models, model)) return [];
    const message = `service "${name}" refers to undefined model ${model}`;
    return [undefinedReference(["services", name, "models", model], message, model, project.models, "models")];
  });

export const dependenciesExist: ServiceRule = (name, service, project) =>
  Object.entries(service.depends_on ?? {}).flatMap(([target, dependency]) => {
    if (Object.hasOwn(project.services, target)) return [];
    const off = Object.hasOwn(project.disabledServices, target) ? project.disabledServices[target] : undefined;
    if (off !== undefined && !dependency.required) return [];
    const path = ["services", name, "depends_on", target];
    if (off === undefined) {
      const message = `service "${name}" depends on undefined service "${target}"`;
      return [undefinedReference(path, message, target, project.services, "services")];
    }
    const profiles = (off.profiles ?? []).join(", ");
    return [
      {
        code: "profile",
        message: `service "${name}" depends on undefined service "${target}": its profiles (${profiles}) are not active`,
        path,
        suggestion: `add --profile ${off.profiles?.[0] ?? ""}, or \`required: false\` to the dependency`,
      } satisfies Complaint,
    ];
  });

export const networkModeExists: ServiceRule = (name, service, project) => {
  const mode = service.network_mode ?? "";
  const target = mode.startsWith("service:") ? mode.slice("service:".length) : undefined;
  if (target === undefined || Object.hasOwn(project.services, target)) return [];
  const message = `service "${target}" not found for network_mode "${mode}"`;
  return [undefinedReference(["services", name, "network_mode"], message, target, project.services, "services")];
};

export const buildContextsExist: ServiceRule = (name, service, project) =>
  Object.entries(service.build?.additional_contexts ?? {}).flatMap(([key, value]) => {
    if (!value.startsWith("service:")) return [];
    const target = value.slice("service:".length);
    const path = ["services", name, "build", "additional_contexts", key];
    const other = serviceOf(project, target);
    if (other === undefined) {
      const message = `service "${name}" declares unknown service "${target}" as additional context ${key}`;
      return [undefinedReference(path, message, target, project.services, "services")];
    }
    if (other.build !== undefined) return [];
    const message = `service "${name}" declares service "${target}", which is not built, as additional context ${key}`;
    return [{ code: "undefined-reference", message, path, suggestion: `give "${target}" a build` } satisfies Complaint];
  });

function serviceOf(project: Project, name: string): Service | undefined {
  return Object.hasOwn(project.services, name) ? project.services[name] : undefined;
}
