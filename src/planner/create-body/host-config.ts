import type { HostConfig, MountPoint, RestartPolicy } from "../../api/wire.ts";
import { TscomposeError } from "../../errors.ts";
import { hostAccessOf } from "../../spec/host-access.ts";
import type { Project, Service } from "../../spec/model.ts";

import { resources } from "./limits.ts";
import { containerMounts } from "./mounts.ts";
import { portBindings } from "./ports.ts";
import { count, defined, nonEmpty } from "./quantities.ts";

export interface HostConfigInput {
  readonly project: Project;
  readonly service: string;
  /** 0: a one-off. */
  readonly number: number;
  readonly spec: Service;
  readonly networkMode: string;
  readonly inherit: readonly MountPoint[];
  readonly imageVolumes: readonly string[];
  /** Text of the seccomp profiles that `security_opt` names by path. */
  readonly profiles: ReadonlyMap<string, string>;
  readonly links: readonly string[];
}

function annotations(input: HostConfigInput): HostConfig["Annotations"] | undefined {
  const access = hostAccessOf(input.spec).map(({ port, protocol }) => `${port}/${protocol}`);
  const own = {
    ...publishAnnotations(input),
    ...(access.length === 0 ? {} : { "io.tscompose.host-access": access.join(",") }),
  };
  return Object.keys(own).length === 0 ? input.spec.annotations : { ...input.spec.annotations, ...own };
}

/** Replicas share the fixed ports of mode `ingress`, which is the default; those of mode `host` are held by one container. */
function publishAnnotations({ project, service, spec, number }: HostConfigInput): Readonly<Record<string, string>> {
  if (number === 0 || !(spec.ports ?? []).some(({ mode }) => mode !== "host")) return {};
  const exclusive = (spec.ports ?? []).flatMap(({ target, protocol = "tcp", mode }) =>
    mode === "host" && target !== undefined ? [`${target}/${protocol}`] : [],
  );
  return {
    "io.tscompose.publish.group": `${project.name}/${service}`,
    ...(exclusive.length === 0 ? {} : { "io.tscompose.publish.exclusive": exclusive.join(",") }),
  };
}

export function hostConfig(input: HostConfigInput): HostConfig {
  const { project, spec } = input;
  const { binds, mounts } = containerMounts(project, spec, input);
  const security = securityOptions(spec, input.profiles);
  return defined<HostConfig>({
    ...resources(spec),
    Binds: nonEmpty(binds),
    Mounts: nonEmpty(mounts),
    NetworkMode: input.networkMode,
    PortBindings: portBindings(spec),
    RestartPolicy: restartPolicy(spec),
    Annotations: annotations(input),
    CapAdd: nonEmpty(spec.cap_add),
    CapDrop: nonEmpty(spec.cap_drop),
    CgroupnsMode: spec.cgroup,
    Dns: nonEmpty(spec.dns),
    DnsOptions: nonEmpty(spec.dns_opt),
    DnsSearch: nonEmpty(spec.dns_search),
    ExtraHosts: nonEmpty(spec.extra_hosts?.map((entry) => entry.replace("=", ":"))),
    GroupAdd: nonEmpty(spec.group_add),
    Init: spec.init,
    IpcMode: spec.ipc,
    Isolation: spec.isolation,
    Links: nonEmpty(input.links),
    LogConfig:
      spec.logging === undefined ? undefined : { Type: spec.logging.driver ?? "", Config: spec.logging.options ?? {} },
    OomScoreAdj: spec.oom_score_adj,
    PidMode: spec.pid,
    Privileged: spec.privileged,
    ReadonlyRootfs: spec.read_only,
    Runtime: spec.runtime,
    SecurityOpt: nonEmpty(security.options),
    MaskedPaths: security.pathsUnconfined ? [] : undefined,
    ReadonlyPaths: security.pathsUnconfined ? [] : undefined,
    ShmSize: count(spec.shm_size),
    StorageOpt: spec.storage_opt,
    Sysctls: spec.sysctls,
    Tmpfs: tmpfs(spec),
    UTSMode: spec.uts,
    UsernsMode: spec.userns_mode,
    VolumesFrom: nonEmpty(spec.volumes_from),
  } as HostConfig);
}

/** `deploy.restart_policy` wins over `restart`. */
export function restartPolicy(spec: Service): RestartPolicy | undefined {
  const policy = spec.deploy?.restart_policy;
  if (policy !== undefined) {
    return { Name: policyName(policy.condition ?? ""), MaximumRetryCount: policy.max_attempts ?? 0 };
  }
  if (spec.restart === undefined) return undefined;
  const [name = "", attempts = "0"] = spec.restart.split(":");
  return { Name: policyName(name), MaximumRetryCount: Number(attempts) };
}

function policyName(condition: string): RestartPolicy["Name"] {
  switch (condition) {
    case "none":
    case "no":
      return "no";
    case "any":
    case "always":
      return "always";
    case "on-failure":
    case "unless-stopped":
    case "":
      return condition;
    default:
      throw new TscomposeError("request/invalid", `restart policy "${condition}" is not known`, {
        hint: `use "no", "always", "on-failure[:max]" or "unless-stopped"`,
      });
  }
}

function tmpfs(spec: Service): HostConfig["Tmpfs"] {
  const entries = (spec.tmpfs ?? []).map((entry): readonly [string, string] => {
    const colon = entry.indexOf(":");
    return colon < 0 ? [entry, ""] : [entry.slice(0, colon), entry.slice(colon + 1)];
  });
  return entries.length === 0 ? undefined : Object.fromEntries(entries);
}

/** Path of the profile in `seccomp=<path>` or `seccomp:<path>`; undefined for anything else. */
export function seccompProfilePath(option: string): string | undefined {
  const value = /^seccomp[=:](.*)$/s.exec(option)?.[1];
  return value === undefined || value === "unconfined" || value === "builtin" ? undefined : value;
}

function securityOptions(
  spec: Service,
  profiles: ReadonlyMap<string, string>,
): { readonly options: readonly string[]; readonly pathsUnconfined: boolean } {
  const options = (spec.security_opt ?? []).filter((option) => option !== "systempaths=unconfined");
  return {
    options: options.map((option) => {
      const path = seccompProfilePath(option);
      const profile = path === undefined ? undefined : profiles.get(path);
      return profile === undefined ? option : `seccomp=${profile}`;
    }),
    pathsUnconfined: options.length !== (spec.security_opt ?? []).length,
  };
}
