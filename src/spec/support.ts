import type { Diagnostic } from "./diagnostic.ts";
import type { LoadResult } from "./load-options.ts";
import { pathTable, step } from "./path-table.ts";
import type { PathTable } from "./path-table.ts";

/** What becomes of a key. `later`: the named command refuses it by name until the part that honours it exists. `noEffect`:
 *  accepted, without effect on Linux, and warned about. */
export type Support =
  | { readonly mark: "honoured" }
  | { readonly mark: "later"; readonly command: SupportedCommand; readonly why: string }
  | { readonly mark: "noEffect"; readonly why: string };

export type SupportedCommand = "up" | "watch";

const honoured: Support = { mark: "honoured" };
const later = (command: SupportedCommand, why: string): Support => ({ mark: "later", command, why });
const swarm: Support = { mark: "noEffect", why: "it is for Swarm" };
const windows: Support = { mark: "noEffect", why: "it is for Windows" };
const unused = (why: string): Support => ({ mark: "noEffect", why });

const row = (keys: string, support: Support): (readonly [string, Support])[] =>
  keys.split(" ").map((key) => [key, support] as const);
const inService = (keys: string, support: Support): (readonly [string, Support])[] =>
  keys.split(" ").map((key) => [`services.*.${key}`, support] as const);

/** Every key of a service and of the top level has its own row; what is below follows it unless a row says otherwise. */
export const supportRows: readonly (readonly [pattern: string, support: Support])[] = [
  ...row("name include services networks volumes secrets configs services.*", honoured),
  ...row("networks.* volumes.* secrets.* configs.*", honoured),
  ["version", unused("the specification has dropped it")],
  ["models", later("up", "models need a model runner")],
  ...inService("annotations attach blkio_config cap_add cap_drop cgroup cgroup_parent command configs", honoured),
  ...inService("container_name cpu_period cpu_quota cpu_rt_period cpu_rt_runtime cpu_shares cpus cpuset", honoured),
  ...inService("depends_on deploy device_cgroup_rules devices dns dns_opt dns_search domainname", honoured),
  ...inService("entrypoint env_file environment expose extends external_links extra_hosts gpus group_add", honoured),
  ...inService("healthcheck hostname image init ipc label_file labels links logging mac_address mem_limit", honoured),
  ...inService("mem_reservation mem_swappiness memswap_limit network_mode networks oom_kill_disable", honoured),
  ...inService("oom_score_adj pid pids_limit platform ports privileged profiles pull_policy read_only", honoured),
  ...inService(
    "restart runtime scale secrets security_opt shm_size stdin_open stop_grace_period stop_signal",
    honoured,
  ),
  ...inService("storage_opt sysctls tmpfs tty ulimits user userns_mode uts volumes volumes_from working_dir", honoured),
  ...inService("use_api_socket", honoured),
  ...inService("build", honoured),
  ...inService("develop", later("watch", "files are not watched yet")),
  ...inService("post_start pre_start pre_stop", honoured),
  ...inService("pre_start.*.per_replica", later("up", "remove per_replica or set it to false")),
  ...inService("provider", later("up", "providers are not run yet")),
  ...inService("models", later("up", "models need a model runner")),
  ...inService("cpu_count cpu_percent credential_spec isolation", windows),
  ...inService("build.isolation", windows),
  ...inService("pull_refresh_after", unused("Docker Compose does not read it either")),
  ...inService("deploy.mode deploy.endpoint_mode deploy.labels deploy.rollback_config deploy.update_config", swarm),
  ...inService("deploy.resources.reservations.cpus deploy.resources.reservations.generic_resources", swarm),
  ...inService("deploy.restart_policy.delay deploy.restart_policy.window deploy.placement", swarm),
  ...inService("ports.*.name ports.*.mode ports.*.app_protocol", unused("it is a note to readers")),
  ...inService("volumes.*.consistency", unused("it is for macOS")),
  ...inService("build.secrets.*.uid build.secrets.*.gid build.secrets.*.mode", unused("the Dockerfile says it")),
  ...row(
    "secrets.*.external secrets.*.driver secrets.*.template_driver",
    later("up", "only files and variables are read"),
  ),
  ...row(
    "configs.*.external configs.*.template_driver",
    later("up", "only files, variables and inline content are read"),
  ),
  ...row("secrets.*.driver_opts", swarm),
  ...row(
    "secrets.*.name secrets.*.labels configs.*.name configs.*.labels",
    unused("nothing is created on the engine for it"),
  ),
];

const table = pathTable(supportRows);

/** The mark of a schema node or model path. Undefined only where a row is missing. */
export function supportOf(path: readonly string[]): Support | undefined {
  let node: PathTable<Support> | undefined = table;
  let support: Support | undefined;
  for (const [index, key] of path.entries()) {
    node = step(node, key);
    // Below a service, nothing is inherited from the service itself: each of its keys is marked.
    if (index === 2 && path[0] === "services") support = node?.value;
    else support = node?.value ?? support;
  }
  return support;
}

/** Keys that Docker Compose fills in itself, so their presence in the model says nothing about the file. */
const filledIn = new Set(["name", "mode"]);

/** Errors for keys that `command` does not honour yet, by name and place; warnings for keys without effect. */
export function checkSupported(result: LoadResult, command: SupportedCommand): readonly Diagnostic[] {
  const found: Diagnostic[] = [];
  const visit = (value: unknown, path: readonly string[], node: PathTable<Support> | undefined): void => {
    const support = node?.value;
    if (support !== undefined && support.mark !== "honoured" && isSaid(value, path)) {
      const diagnostic = complaintOf(path, support, command, result);
      if (diagnostic !== undefined) found.push(diagnostic);
      return;
    }
    if (node === undefined || typeof value !== "object" || value === null) return;
    for (const [key, inner] of Object.entries(value)) visit(inner, [...path, key], step(node, key));
  };
  const { services, networks, volumes, secrets, configs } = result.project;
  for (const [section, value] of Object.entries({ services, networks, volumes, secrets, configs })) {
    visit(value, [section], step(table, section));
  }
  return found;
}

function isSaid(value: unknown, path: readonly string[]): boolean {
  if (value === undefined || value === null || value === false) return false;
  if (filledIn.has(path.at(-1) ?? "")) return false;
  return typeof value !== "object" || Object.keys(value).length > 0;
}

function complaintOf(
  path: readonly string[],
  support: Support,
  command: SupportedCommand,
  result: LoadResult,
): Diagnostic | undefined {
  if (support.mark === "honoured" || (support.mark === "later" && support.command !== command)) return undefined;
  const place = result.origins.place(path);
  const shown = path.join(".");
  const later = support.mark === "later";
  return {
    severity: later ? "error" : "warning",
    code: later ? "not-supported" : "no-effect",
    message: later
      ? `${shown} is not supported by \`${command}\` yet: ${support.why}`
      : `${shown} has no effect: ${support.why}`,
    path,
    ...(place === undefined ? {} : { place }),
    chain: [],
  };
}
