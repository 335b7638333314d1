import { hostAccessKey, parseHostPort } from "../host-access.ts";
import type { Complaint, ProjectRule, ServiceRule } from "./rule.ts";

/** What one service may not say at the same time. */

export const hasSource: ServiceRule = (name, service) =>
  service.build !== undefined || (service.image ?? "") !== "" || service.provider !== undefined
    ? []
    : [
        {
          code: "missing-key",
          message: `service "${name}" has neither an image nor a build`,
          path: ["services", name],
          expected: `the key "image" or "build"`,
        },
      ];

export const oneDockerfile: ServiceRule = (name, service) =>
  (service.build?.dockerfile ?? "") !== "" && (service.build?.dockerfile_inline ?? "") !== ""
    ? [
        {
          code: "conflict",
          message: `service "${name}" declares both dockerfile and dockerfile_inline`,
          path: ["services", name, "build", "dockerfile_inline"],
          suggestion: "keep one of the two",
        },
      ]
    : [];

export const platformIsBuilt: ServiceRule = (name, service) => {
  const platforms = service.build?.platforms ?? [];
  const platform = service.platform ?? "";
  if (platforms.length === 0 || platform === "" || platforms.includes(platform)) return [];
  const message = `service "${name}" runs on ${platform}, which its build.platforms do not include`;
  return [{ code: "conflict", message, path: ["services", name, "platform"], suggestion: `add ${platform} to them` }];
};

export const oneNetworking: ServiceRule = (name, service) =>
  (service.network_mode ?? "") !== "" && Object.keys(service.networks ?? {}).length > 0
    ? [
        {
          code: "conflict",
          message: `service "${name}" declares both network_mode and networks`,
          path: ["services", name, "network_mode"],
          suggestion: "keep one of the two",
        },
      ]
    : [];

export const healthTestKind: ServiceRule = (name, service) => {
  const [kind] = service.healthcheck?.test ?? [];
  if (kind === undefined || ["CMD", "CMD-SHELL", "NONE"].includes(kind)) return [];
  return [
    {
      code: "invalid-value",
      message: `healthcheck of service "${name}" starts with "${kind}"`,
      path: ["services", name, "healthcheck", "test"],
      expected: "a list that starts with CMD, CMD-SHELL or NONE",
      suggestion: `write it as one text, or put "CMD" first`,
    },
  ];
};

export const oneScale: ServiceRule = (name, service) => {
  const replicas = service.deploy?.replicas;
  if (service.scale === undefined || replicas === undefined || service.scale === replicas) return [];
  return [distinct(name, "scale", "deploy.replicas")];
};

function distinct(name: string, key: string, other: string): Complaint {
  return {
    code: "conflict",
    message: `service "${name}" sets ${key} and ${other} to different values`,
    path: ["services", name, ...key.split(".")],
    suggestion: "set one of them, or both to the same value",
  };
}

export const scaleIsCount: ServiceRule = (name, service) => {
  const complaints: Complaint[] = [];
  const check = (value: number | undefined, path: readonly string[]): void => {
    if (value === undefined || value >= 0) return;
    const message = `services.${name}.${path.join(".")} must be at least 0, not ${String(value)}`;
    complaints.push({ code: "invalid-value", message, path: ["services", name, ...path], expected: "0 or more" });
  };
  check(service.scale, ["scale"]);
  check(service.deploy?.replicas, ["deploy", "replicas"]);
  return complaints;
};

/** A limits or reservations block that is there is compared even where it does not say the thing at all. */
export const sameLimits: ServiceRule = (name, service) => {
  const limits = service.deploy?.resources.limits;
  const reservations = service.deploy?.resources.reservations;
  const complaints: Complaint[] = [];
  const compare = (key: string, own: unknown, block: object | undefined, other: unknown, path: string): void => {
    if (own !== undefined && block !== undefined && own !== other) complaints.push(distinct(name, key, path));
  };
  compare("cpus", service.cpus, limits, limits?.cpus, "deploy.resources.limits.cpus");
  compare("mem_limit", service.mem_limit, limits, limits?.memory, "deploy.resources.limits.memory");
  compare("pids_limit", service.pids_limit, limits, limits?.pids, "deploy.resources.limits.pids");
  const reserved = "deploy.resources.reservations.memory";
  compare("mem_reservation", service.mem_reservation, reservations, reservations?.memory, reserved);
  return complaints;
};

export const nameIsForOne: ServiceRule = (name, service) => {
  const count = service.scale ?? service.deploy?.replicas ?? 1;
  if (count <= 1 || service.container_name === undefined) return [];
  const key = service.scale === undefined ? "deploy.replicas" : "scale";
  const message = `service "${name}" sets container_name and ${key} ${String(count)}, but a container name is for one container`;
  return [
    { code: "conflict", message, path: ["services", name, "container_name"], suggestion: "take out container_name" },
  ];
};

export const watchHasTarget: ServiceRule = (name, service) =>
  (service.develop?.watch ?? []).flatMap((rule, index): readonly Complaint[] => {
    if ((rule.target ?? "") !== "" || rule.action === "rebuild" || rule.action === "restart") return [];
    const message = `a watch rule of service "${name}" has action ${rule.action} and no target`;
    const path = ["services", name, "develop", "watch", String(index)];
    return [{ code: "missing-key", message, path, expected: `the key "target"` }];
  });

export const mountsAreDistinct: ServiceRule = (name, service) => {
  const seen = new Map<string, string>();
  const complaints: Complaint[] = [];
  const check = (target: string, key: string, index: number): void => {
    const here = `${key}[${String(index)}]`;
    const earlier = seen.get(target);
    if (earlier === undefined) seen.set(target, here);
    else {
      const message = `service "${name}" mounts ${target} twice: ${earlier} and ${here}`;
      complaints.push({ code: "conflict", message, path: ["services", name, key, String(index)] });
    }
  };
  for (const [index, mount] of (service.tmpfs ?? []).entries()) check(mount.split(":")[0] ?? "", "tmpfs", index);
  for (const [index, mount] of (service.volumes ?? []).entries()) check(mount.target ?? "", "volumes", index);
  return complaints;
};

export const secretsHaveSource: ProjectRule = (project) =>
  Object.entries(project.secrets).flatMap(([name, secret]): readonly Complaint[] => {
    if (secret.external === true || (secret.file ?? "") !== "" || (secret.environment ?? "") !== "") return [];
    const message = `secret "${name}" must declare either "file" or "environment"`;
    return [{ code: "missing-key", message, path: ["secrets", name], expected: `the key "file" or "environment"` }];
  });

export const containerNamesAreUnique: ProjectRule = (project) => {
  const owners = new Map<string, string>();
  const complaints: Complaint[] = [];
  for (const [name, service] of Object.entries(project.services)) {
    const container = service.container_name;
    if (container === undefined) continue;
    const owner = owners.get(container);
    if (owner === undefined) owners.set(container, name);
    else {
      const message = `services "${owner}" and "${name}" have the same container_name "${container}"`;
      complaints.push({ code: "conflict", message, path: ["services", name, "container_name"] });
    }
  }
  return complaints;
};

/** Hosts' ports that a service may reach: a list of ports, and a network over which to reach them. */
export const hostAccess: ServiceRule = (name, service, project) => {
  const entries: unknown = service[hostAccessKey];
  if (entries === undefined) return [];
  const path = ["services", name, hostAccessKey];
  if (!Array.isArray(entries)) {
    return [
      {
        code: "wrong-type",
        message: `${hostAccessKey} of service "${name}" is no list`,
        path,
        expected: "a list of ports",
      },
    ];
  }
  const wrong = entries.findIndex((entry) => parseHostPort(entry) === undefined);
  if (wrong >= 0) {
    const message = `${hostAccessKey} of service "${name}": ${JSON.stringify(entries[wrong])} is no port`;
    return [
      { code: "invalid-value", message, path: [...path, String(wrong)], expected: 'a port like 5432 or "53/udp"' },
    ];
  }
  const mode = service.network_mode ?? "";
  if (mode !== "" && mode !== "bridge" && mode !== "default") {
    const message = `service "${name}" declares ${hostAccessKey} with network_mode ${mode}`;
    return [{ code: "conflict", message, path, suggestion: "leave one of the two out" }];
  }
  const networks = Object.keys(service.networks ?? {});
  if (networks.length === 0 || networks.some((key) => project.networks[key]?.internal !== true)) return [];
  const message = `service "${name}" declares ${hostAccessKey}, but all of its networks are internal`;
  return [{ code: "conflict", message, path, suggestion: "give it a network that is not internal" }];
};
