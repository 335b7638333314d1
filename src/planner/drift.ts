import type { ContainerCreateBody, ContainerInspect, HostConfig, ImageInspect, MountPoint } from "../api/wire.ts";
import type { Project, Service } from "../spec/model.ts";

import { createBody } from "./create-body/create-body.ts";
import { isGeneratedName } from "./names.ts";
import type { ObservedContainer, ObservedImage } from "./observed.ts";

export interface DriftInput {
  readonly project: Project;
  readonly service: string;
  readonly spec: Service;
  readonly container: ObservedContainer;
  readonly image: ObservedImage | undefined;
}

/** Why the configuration of a container is not the wanted one: `environment.LOG_LEVEL: info -> debug`, at most three such.
 *  Told from the container as it is, so it also explains those that another tool made. */
export function describeDrift({ project, service, spec, container, image }: DriftInput): string {
  if (container.inspect === undefined) return "configuration changed";
  const body = createBody({
    project,
    service,
    spec,
    number: container.number,
    name: container.name,
    inherit: [],
    imageVolumes: [],
    profiles: new Map(),
    linked: new Map(),
    labels: {},
  });
  const before = factsOf(container.inspect, container.inspect.HostConfig, observedMounts(container.inspect, project));
  const after = factsOf(body, body.HostConfig ?? {}, wantedMounts(body));
  const changes = compareFacts(before, after, image?.inspect);
  if (changes.length === 0) return "configuration changed";
  const rest = changes.length > 3 ? ` and ${changes.length - 3} more` : "";
  return changes.slice(0, 3).join("; ") + rest;
}

/** Path in the compose file -> value as text. Absent: not set. */
type Facts = ReadonlyMap<string, string>;

function compareFacts(before: Facts, after: Facts, image: ImageInspect | undefined): readonly string[] {
  const inherited = image === undefined ? new Map<string, string>() : imageFacts(image);
  const paths = [...new Set([...before.keys(), ...after.keys()])].toSorted();
  return paths.flatMap((path) => {
    const old = before.get(path);
    const wanted = after.get(path) ?? inherited.get(path);
    if (old === wanted || (wanted === undefined && engineDefaults.get(path)?.includes(old ?? "") === true)) return [];
    if (isSecret(path)) return [`${path} changed`];
    if (old === undefined) return [`${path}: added ${wanted ?? ""}`];
    return [wanted === undefined ? `${path}: removed ${old}` : `${path}: ${old} -> ${wanted}`];
  });
}

/** The value would be printed, and kept in logs of CI. */
function isSecret(path: string): boolean {
  return path.startsWith("environment.") && /pass|secret|token|key|credential|auth/i.test(path);
}

type ConfigPart = ContainerCreateBody | ContainerInspect;

function configOf(part: ConfigPart): ContainerCreateBody {
  return "Config" in part ? part.Config : part;
}

function factsOf(part: ConfigPart, host: HostConfig, mounts: readonly string[]): Facts {
  const config = configOf(part);
  const facts = new Map<string, string>();
  const put = (path: string, value: unknown): void => {
    const text = textOf(value);
    if (text !== undefined) facts.set(path, text);
  };
  put("image", config.Image);
  for (const entry of config.Env ?? []) {
    const equals = entry.indexOf("=");
    if (equals > 0) facts.set(`environment.${entry.slice(0, equals)}`, entry.slice(equals + 1) || '""');
  }
  put("command", config.Cmd);
  put("entrypoint", config.Entrypoint);
  put("user", config.User);
  put("working_dir", config.WorkingDir);
  put("stop_signal", config.StopSignal);
  put("stop_grace_period", config.StopTimeout === undefined ? undefined : `${config.StopTimeout}s`);
  put("tty", config.Tty);
  put("stdin_open", config.OpenStdin);
  for (const [key, value] of Object.entries(config.Healthcheck ?? {})) put(`healthcheck.${key.toLowerCase()}`, value);
  for (const [key, value] of Object.entries(config.Labels ?? {})) {
    if (!key.startsWith("com.docker.compose.")) facts.set(`labels.${key}`, value || '""');
  }
  if (!("Config" in part) || part.Config.Hostname !== part.Id.slice(0, 12)) put("hostname", config.Hostname);
  for (const [field, name] of hostFields) put(name, host[field]);
  for (const [port, bindings] of Object.entries(host.PortBindings ?? {})) {
    const texts = (bindings ?? []).map(({ HostIp, HostPort }) =>
      [HostIp, HostPort, port].filter((one) => one !== "").join(":"),
    );
    put(`ports.${port}`, texts);
  }
  const networks = "Config" in part ? part.NetworkSettings.Networks : part.NetworkingConfig?.EndpointsConfig;
  put("networks", Object.keys(networks ?? {}).toSorted());
  put("volumes", mounts);
  return facts;
}

const hostFields: readonly (readonly [keyof HostConfig, string])[] = [
  ["NetworkMode", "network_mode"],
  ["RestartPolicy", "restart"],
  ["CapAdd", "cap_add"],
  ["CapDrop", "cap_drop"],
  ["CgroupnsMode", "cgroup"],
  ["CgroupParent", "cgroup_parent"],
  ["Dns", "dns"],
  ["DnsOptions", "dns_opt"],
  ["DnsSearch", "dns_search"],
  ["ExtraHosts", "extra_hosts"],
  ["GroupAdd", "group_add"],
  ["Init", "init"],
  ["IpcMode", "ipc"],
  ["LogConfig", "logging"],
  ["PidMode", "pid"],
  ["Privileged", "privileged"],
  ["ReadonlyRootfs", "read_only"],
  ["Runtime", "runtime"],
  ["SecurityOpt", "security_opt"],
  ["ShmSize", "shm_size"],
  ["Sysctls", "sysctls"],
  ["Tmpfs", "tmpfs"],
  ["UTSMode", "uts"],
  ["UsernsMode", "userns_mode"],
  ["CpuShares", "cpu_shares"],
  ["CpuPeriod", "cpu_period"],
  ["CpuQuota", "cpu_quota"],
  ["CpusetCpus", "cpuset"],
  ["NanoCpus", "cpus (nano)"],
  ["Memory", "mem_limit"],
  ["MemoryReservation", "mem_reservation"],
  ["PidsLimit", "pids_limit"],
  ["Ulimits", "ulimits"],
  ["Devices", "devices"],
  ["OomScoreAdj", "oom_score_adj"],
  ["Annotations", "annotations"],
];

/** What an engine fills in where the body says nothing. */
const engineDefaults: ReadonlyMap<string, readonly string[]> = new Map([
  ["shm_size", ["67108864"]],
  ["ipc", ["private", "shareable"]],
  ["cgroup", ["private", "host"]],
  ["restart", ["no"]],
  ["logging", ['{"Type":"json-file"}', '{"Type":"local"}']],
  ["runtime", ["runc", "crun"]],
  ["network_mode", ["default", "bridge"]],
]);

/** What the image gives where the service says nothing. */
function imageFacts({ Config: config }: ImageInspect): Facts {
  const empty = { HostConfig: {} } satisfies ContainerCreateBody;
  const facts = new Map(factsOf({ ...config, ...empty }, {}, []));
  facts.delete("image");
  return facts;
}

function textOf(value: unknown): string | undefined {
  if (value === undefined || value === null || value === "" || value === false || value === 0) return undefined;
  if (typeof value === "string" || typeof value === "number" || typeof value === "boolean") return String(value);
  if (Array.isArray(value)) {
    const items = value as readonly unknown[];
    if (items.length === 0) return undefined;
    return items.every((item) => typeof item === "string") ? `[${items.join(", ")}]` : JSON.stringify(items);
  }
  if (isRestartPolicy(value)) {
    const { Name, MaximumRetryCount = 0 } = value;
    if (Name === "") return undefined;
    return MaximumRetryCount === 0 ? Name : `${Name}:${MaximumRetryCount}`;
  }
  const entries = Object.entries(value).filter(([, item]) => textOf(item) !== undefined);
  return entries.length === 0
    ? undefined
    : JSON.stringify(Object.fromEntries(entries.toSorted(([a], [b]) => (a < b ? -1 : 1))));
}

function isRestartPolicy(value: object): value is { readonly Name: string; readonly MaximumRetryCount?: number } {
  return (
    "Name" in value &&
    typeof value.Name === "string" &&
    Object.keys(value).every((key) => key === "Name" || key === "MaximumRetryCount")
  );
}

/** `source:target`, sorted; anonymous volumes are none of the compose file's business here. */
function wantedMounts(body: ContainerCreateBody): readonly string[] {
  const binds = (body.HostConfig?.Binds ?? []).map((bind) => bind.replace(/:rw(,[^:]*)?$/, ""));
  const mounts = (body.HostConfig?.Mounts ?? [])
    .filter(({ Type, Source }) => Type !== "tmpfs" && Source !== undefined)
    .map(({ Source = "", Target, ReadOnly }) => `${Source}:${Target}${ReadOnly === true ? ":ro" : ""}`);
  return [...binds, ...mounts].toSorted();
}

function observedMounts({ Mounts }: ContainerInspect, _project: Project): readonly string[] {
  return Mounts.filter((mount) => !isAnonymous(mount) && mount.Type !== "tmpfs")
    .map(
      ({ Type, Name, Source, Destination, RW }) =>
        `${Type === "volume" ? (Name ?? "") : Source}:${Destination}${RW ? "" : ":ro"}`,
    )
    .toSorted();
}

function isAnonymous({ Type, Name }: MountPoint): boolean {
  return Type === "volume" && isGeneratedName(Name ?? "");
}
