import type { Service } from "../model.ts";
import {
  boolean,
  dict,
  field,
  float32,
  integer,
  list,
  oneOrMany,
  printed,
  string,
  struct,
  unsigned,
} from "./decode.ts";
import {
  bytes,
  command,
  deviceCount,
  duration,
  environment,
  fileMode,
  healthTest,
  hosts,
  labels,
  multiOptions,
  nonzeroDuration,
  optOut,
  options,
  plainOptions,
  portTarget,
  sshKeys,
  strings,
  ulimit,
} from "./forms.ts";

/** The structs of a service in Docker Compose's order of fields, which its config hash depends on. Source: compose-go
 *  `types/types.go`. */

const nothing = { always: () => null };
const emptyStruct = { always: () => ({}) };
const stringOrList = oneOrMany(string);

const fileReference = struct([
  field("source", string),
  field("target", string),
  field("uid", string),
  field("gid", string),
  field("mode", fileMode, "given"),
]);

const build = struct([
  field("context", string),
  field("dockerfile", string),
  field("dockerfile_inline", string),
  field("entitlements", strings),
  field("args", environment),
  field("provenance", string),
  field("sbom", string),
  field("ssh", sshKeys),
  field("labels", labels),
  field("cache_from", stringOrList),
  field("cache_to", stringOrList),
  field("no_cache", boolean),
  field("no_cache_filter", stringOrList),
  field("additional_contexts", labels),
  field("pull", boolean),
  field("extra_hosts", hosts, "given"),
  field("isolation", string),
  field("network", string),
  field("target", string),
  field("secrets", list(fileReference)),
  field("shm_size", bytes),
  field("tags", stringOrList),
  field("ulimits", dict(ulimit)),
  field("platforms", stringOrList),
  field("privileged", boolean),
]);

const hook = struct([
  field("command", command, nothing),
  field("image", string),
  field("user", string),
  field("privileged", boolean),
  field("working_dir", string),
  field("environment", environment),
  field("per_replica", boolean),
]);

const develop = struct([
  field(
    "watch",
    list(
      struct([
        field("path", string, { always: () => "" }),
        field("action", string, { always: () => "" }),
        field("target", string),
        field("exec", hook, { always: () => ({ command: null }) }),
        field("include", strings),
        field("ignore", strings),
        field("initial_sync", boolean),
      ]),
    ),
  ),
]);

const throttle = struct([
  field("Path", string, { always: () => "" }, "path"),
  field("Rate", bytes, { always: () => "0" }, "rate"),
]);

const blkio = struct([
  field("weight", unsigned),
  field(
    "weight_device",
    list(
      struct([
        field("Path", string, { always: () => "" }, "path"),
        field("Weight", unsigned, { always: () => 0 }, "weight"),
      ]),
    ),
  ),
  field("device_read_bps", list(throttle)),
  field("device_read_iops", list(throttle)),
  field("device_write_bps", list(throttle)),
  field("device_write_iops", list(throttle)),
]);

const deviceRequest = struct(
  [
    field("capabilities", strings),
    field("driver", string),
    field("count", deviceCount),
    field("device_ids", strings),
    field("options", labels),
  ],
  "closed",
);

const updateConfig = struct([
  field("parallelism", unsigned, "given"),
  field("delay", nonzeroDuration),
  field("failure_action", string),
  field("monitor", nonzeroDuration),
  field("max_failure_ratio", float32),
  field("order", string),
]);

const resource = struct([
  field("cpus", float32),
  field("memory", bytes),
  field("pids", integer),
  field("devices", list(deviceRequest)),
  field(
    "generic_resources",
    list(
      struct([
        field(
          "discrete_resource_spec",
          struct([field("kind", string, { always: () => "" }), field("value", integer, { always: () => 0 })]),
          "given",
        ),
      ]),
    ),
  ),
]);

const deploy = struct([
  field("mode", string),
  field("replicas", integer, "given"),
  field("labels", labels),
  field("update_config", updateConfig, "given"),
  field("rollback_config", updateConfig, "given"),
  field(
    "resources",
    struct([field("limits", resource, "given"), field("reservations", resource, "given")]),
    emptyStruct,
  ),
  field(
    "restart_policy",
    struct([
      field("condition", string),
      field("delay", duration, "given"),
      field("max_attempts", unsigned, "given"),
      field("window", duration, "given"),
    ]),
    "given",
  ),
  field(
    "placement",
    struct([
      field("constraints", strings),
      field("preferences", list(struct([field("spread", string)]))),
      field("max_replicas_per_node", unsigned),
    ]),
    emptyStruct,
  ),
  field("endpoint_mode", string),
]);

const healthcheck = struct([
  field("test", healthTest),
  field("timeout", duration, "given"),
  field("interval", duration, "given"),
  field("retries", unsigned, "given"),
  field("start_period", duration, "given"),
  field("start_interval", duration, "given"),
  field("disable", boolean),
]);

const serviceNetwork = struct<object>([
  field("aliases", strings),
  field("driver_opts", options),
  field("gw_priority", integer),
  field("interface_name", string),
  field("ipv4_address", string),
  field("ipv6_address", string),
  field("link_local_ips", strings),
  field("mac_address", string),
  field("priority", integer),
]);

const port = struct([
  field("name", string),
  field("mode", string),
  field("host_ip", string),
  field("target", portTarget),
  field("published", string),
  field("protocol", string),
  field("app_protocol", string),
]);

const mount = struct([
  field("type", string),
  field("source", string),
  field("target", string),
  field("read_only", boolean),
  field("consistency", string),
  field(
    "bind",
    struct([
      field("selinux", string),
      field("propagation", string),
      field("create_host_path", optOut, "given"),
      field("recursive", string),
    ]),
    "given",
  ),
  field("volume", struct([field("labels", labels), field("nocopy", boolean), field("subpath", string)]), "given"),
  field("tmpfs", struct([field("size", bytes), field("mode", unsigned)]), "given"),
  field("image", struct([field("subpath", string)]), "given"),
]);

const dependency = struct([
  field("condition", string),
  field("restart", boolean),
  field("required", boolean, { always: () => false }),
]);

const logging = struct([field("driver", string), field("options", options)]);
const serviceModel = struct<object>([field("endpoint_var", string), field("model_var", string)]);
const device = struct([field("source", string), field("target", string), field("permissions", string)]);
const envFile = struct([field("path", string), field("required", optOut, "given"), field("format", string)], "closed");

const serviceFields = [
  field("profiles", strings),
  field("annotations", labels),
  field("attach", boolean, "given"),
  field("build", build, "given"),
  field("develop", develop, "given"),
  field("blkio_config", blkio, "given"),
  field("cap_add", strings),
  field("cap_drop", strings),
  field("cgroup_parent", string),
  field("cgroup", string),
  field("cpu_count", integer),
  field("cpu_percent", float32),
  field("cpu_period", integer),
  field("cpu_quota", integer),
  field("cpu_rt_period", integer),
  field("cpu_rt_runtime", integer),
  field("cpus", float32),
  field("cpuset", string),
  field("cpu_shares", integer),
  field("command", command, nothing),
  field("configs", list(fileReference)),
  field("container_name", string),
  field(
    "credential_spec",
    struct([field("config", string), field("file", string), field("registry", string)]),
    "given",
  ),
  field("depends_on", dict(dependency)),
  field("deploy", deploy, "given"),
  field("device_cgroup_rules", strings),
  field("devices", list(device)),
  field("dns", stringOrList),
  field("dns_opt", strings),
  field("dns_search", stringOrList),
  field("domainname", string),
  field("entrypoint", command, nothing),
  field("provider", struct([field("type", string), field("options", multiOptions)]), "given"),
  field("environment", environment),
  field("env_file", list(envFile)),
  field("expose", oneOrMany(printed)),
  field("extends", struct([field("file", string), field("service", string)], "closed"), "given"),
  field("external_links", strings),
  field("extra_hosts", hosts, "given"),
  field("group_add", strings),
  field("gpus", list(deviceRequest)),
  field("hostname", string),
  field("healthcheck", healthcheck, "given"),
  field("image", string),
  field("init", boolean, "given"),
  field("ipc", string),
  field("isolation", string),
  field("labels", labels),
  field("label_file", strings),
  field("links", strings),
  field("logging", logging, "given"),
  field("mem_limit", bytes),
  field("mem_reservation", bytes),
  field("memswap_limit", bytes),
  field("mem_swappiness", bytes),
  field("mac_address", string),
  field("models", dict<object | null>(serviceModel, null)),
  field("network_mode", string),
  field("networks", dict<object | null>(serviceNetwork, null)),
  field("oom_kill_disable", boolean),
  field("oom_score_adj", integer),
  field("pid", string),
  field("pids_limit", integer),
  field("platform", string),
  field("ports", list(port)),
  field("privileged", boolean),
  field("pull_policy", string),
  field("read_only", boolean),
  field("restart", string),
  field("runtime", string),
  field("scale", integer, "given"),
  field("secrets", list(fileReference)),
  field("security_opt", strings),
  field("shm_size", bytes),
  field("stdin_open", boolean),
  field("stop_grace_period", duration, "given"),
  field("stop_signal", string),
  field("storage_opt", plainOptions),
  field("sysctls", labels),
  field("tmpfs", stringOrList),
  field("tty", boolean),
  field("ulimits", dict(ulimit)),
  field("use_api_socket", boolean),
  field("user", string),
  field("userns_mode", string),
  field("uts", string),
  field("volumes", list(mount)),
  field("volumes_from", strings),
  field("working_dir", string),
  field("pre_start", list(hook)),
  field("post_start", list(hook)),
  field("pre_stop", list(hook)),
];

/** The fields of a service in the order that Docker Compose prints and hashes them in. */
export const serviceFieldOrder: readonly string[] = serviceFields.map(({ key }) => key);

export const service = struct<Service>(serviceFields);
