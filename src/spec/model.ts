/** The canonical project: what a compose file says once every short form, merge, default and path is settled. Field names,
 *  value forms and their order are those of `docker-compose config --format json`, so that `config` is a rendering of this
 *  value and its hash is Docker Compose's own. Absent means "not said" (Docker Compose omits zero values).
 *
 *  Forms worth knowing: sizes are decimal strings of bytes (`"1048576"`, see `parseBytes`), durations are Go's notation
 *  (`"1m30s"`, see `parseDuration`), file modes are octal strings (`"0440"`). Records whose keys the user chooses have no
 *  prototype; use `Object.hasOwn` or `Object.entries` on them, never `in`. `x-*` keys are kept where they stood. */

import type { Mount } from "./model-mounts.ts";
export type { Mount } from "./model-mounts.ts";
import type { FileObject, Model, Network, Volume } from "./model-resources.ts";

export type { Network, Volume, FileObject, Model } from "./model-resources.ts";

export type Json = string | number | boolean | null | readonly Json[] | { readonly [key: string]: Json };

/** User-chosen key to value. Made without a prototype, so `__proto__` and `constructor` are ordinary keys. */
export type Dict<T> = Readonly<Record<string, T>>;

export interface Extensible {
  readonly [extension: `x-${string}`]: Json;
}

export interface Project {
  readonly name: string;
  /** Absolute; base of relative paths, label `com.docker.compose.project.working_dir`. */
  readonly workingDir: string;
  /** Absolute, in merge order; `-` for standard input. */
  readonly composeFiles: readonly string[];
  /** What `${VAR}` was answered from: process environment over `.env` files, plus `COMPOSE_PROJECT_NAME`. */
  readonly environment: Dict<string>;
  /** `--env-file` as given; empty when the default `.env` was used. */
  readonly envFiles: readonly string[];
  readonly profiles: readonly string[];
  /** `-`, or `_` under `--compatibility`. Stands between project, service and number. */
  readonly separator: "-" | "_";
  readonly services: Dict<Service>;
  /** Known but switched off: by profile, or by naming other services. Their containers are no orphans. */
  readonly disabledServices: Dict<Service>;
  readonly networks: Dict<Network>;
  readonly volumes: Dict<Volume>;
  readonly secrets: Dict<FileObject>;
  readonly configs: Dict<FileObject>;
  readonly models: Dict<Model>;
  /** Top-level `x-*`. */
  readonly extensions: Dict<Json>;
}

export type Strings = readonly string[];
/** `null`: the variable is named but has no value; the engine then takes it out of the image's environment. */
export type Environment = Dict<string | null>;

export interface Service extends Extensible {
  readonly profiles?: Strings;
  readonly annotations?: Dict<string>;
  readonly attach?: boolean;
  readonly build?: Build;
  readonly develop?: Develop;
  readonly blkio_config?: BlkioConfig;
  readonly cap_add?: Strings;
  readonly cap_drop?: Strings;
  readonly cgroup_parent?: string;
  readonly cgroup?: string;
  readonly cpu_count?: number;
  readonly cpu_percent?: number;
  readonly cpu_period?: number;
  readonly cpu_quota?: number;
  readonly cpu_rt_period?: number;
  readonly cpu_rt_runtime?: number;
  readonly cpus?: number;
  readonly cpuset?: string;
  readonly cpu_shares?: number;
  /** `null`: the image's; `[]`: emptied on purpose. */
  readonly command: Strings | null;
  readonly configs?: readonly FileReference[];
  readonly container_name?: string;
  readonly credential_spec?: CredentialSpec;
  readonly depends_on?: Dict<Dependency>;
  readonly deploy?: Deploy;
  readonly device_cgroup_rules?: Strings;
  readonly devices?: readonly DeviceMapping[];
  readonly dns?: Strings;
  readonly dns_opt?: Strings;
  readonly dns_search?: Strings;
  readonly domainname?: string;
  /** `null`: the image's; `[]`: emptied on purpose. */
  readonly entrypoint: Strings | null;
  readonly provider?: Provider;
  /** `environment` over the contents of `env_file`. */
  readonly environment?: Environment;
  /** Gone once it has been read into `environment`. */
  readonly env_file?: readonly EnvFile[];
  readonly expose?: Strings;
  /** Left standing only where the service it names is empty, as Docker Compose leaves it. */
  readonly extends?: { readonly file?: string; readonly service?: string };
  readonly external_links?: Strings;
  /** `host=address`, sorted. */
  readonly extra_hosts?: Strings;
  readonly group_add?: Strings;
  readonly gpus?: readonly DeviceRequest[];
  readonly hostname?: string;
  readonly healthcheck?: Healthcheck;
  readonly image?: string;
  readonly init?: boolean;
  readonly ipc?: string;
  readonly isolation?: string;
  /** `labels` over the contents of `label_file`. */
  readonly labels?: Dict<string>;
  readonly label_file?: Strings;
  readonly links?: Strings;
  readonly logging?: Logging;
  readonly mem_limit?: string;
  readonly mem_reservation?: string;
  readonly memswap_limit?: string;
  readonly mem_swappiness?: string;
  readonly mac_address?: string;
  readonly models?: Dict<ServiceModel | null>;
  readonly network_mode?: string;
  readonly networks?: Dict<ServiceNetwork | null>;
  readonly oom_kill_disable?: boolean;
  readonly oom_score_adj?: number;
  readonly pid?: string;
  readonly pids_limit?: number;
  readonly platform?: string;
  readonly ports?: readonly Port[];
  readonly privileged?: boolean;
  readonly pull_policy?: string;
  readonly read_only?: boolean;
  readonly restart?: string;
  readonly runtime?: string;
  readonly scale?: number;
  readonly secrets?: readonly FileReference[];
  readonly security_opt?: Strings;
  readonly shm_size?: string;
  readonly stdin_open?: boolean;
  readonly stop_grace_period?: string;
  readonly stop_signal?: string;
  readonly storage_opt?: Dict<string>;
  readonly sysctls?: Dict<string>;
  readonly tmpfs?: Strings;
  readonly tty?: boolean;
  readonly ulimits?: Dict<Ulimit>;
  readonly use_api_socket?: boolean;
  readonly user?: string;
  readonly userns_mode?: string;
  readonly uts?: string;
  readonly volumes?: readonly Mount[];
  readonly volumes_from?: Strings;
  readonly working_dir?: string;
  readonly pre_start?: readonly Hook[];
  readonly post_start?: readonly Hook[];
  readonly pre_stop?: readonly Hook[];
}

export interface Build extends Extensible {
  readonly context?: string;
  readonly dockerfile?: string;
  readonly dockerfile_inline?: string;
  readonly entitlements?: Strings;
  readonly args?: Environment;
  readonly provenance?: string;
  readonly sbom?: string;
  readonly ssh?: readonly SshKey[];
  readonly labels?: Dict<string>;
  readonly cache_from?: Strings;
  readonly cache_to?: Strings;
  readonly no_cache?: boolean;
  readonly no_cache_filter?: Strings;
  readonly additional_contexts?: Dict<string>;
  readonly pull?: boolean;
  readonly extra_hosts?: Strings;
  readonly isolation?: string;
  readonly network?: string;
  readonly target?: string;
  readonly secrets?: readonly FileReference[];
  readonly shm_size?: string;
  readonly tags?: Strings;
  readonly ulimits?: Dict<Ulimit>;
  readonly platforms?: Strings;
  readonly privileged?: boolean;
}

/** `path` is "" for the agent of the caller. */
export interface SshKey {
  readonly id: string;
  readonly path: string;
}

export interface Develop extends Extensible {
  readonly watch?: readonly WatchRule[];
}

export interface WatchRule extends Extensible {
  readonly path: string;
  readonly action: string;
  readonly target?: string;
  /** Always there, with `command: null` where no hook is given. */
  readonly exec: Hook;
  readonly include?: Strings;
  readonly ignore?: Strings;
  readonly initial_sync?: boolean;
}

export interface Hook extends Extensible {
  readonly command: Strings | null;
  readonly image?: string;
  readonly user?: string;
  readonly privileged?: boolean;
  readonly working_dir?: string;
  readonly environment?: Environment;
  readonly per_replica?: boolean;
}

export interface BlkioConfig extends Extensible {
  readonly weight?: number;
  readonly weight_device?: readonly { readonly Path: string; readonly Weight: number }[];
  readonly device_read_bps?: readonly ThrottleDevice[];
  readonly device_read_iops?: readonly ThrottleDevice[];
  readonly device_write_bps?: readonly ThrottleDevice[];
  readonly device_write_iops?: readonly ThrottleDevice[];
}

/** Capitals are Docker Compose's: these two structs carry no JSON names there. `Rate`: decimal string. */
export interface ThrottleDevice {
  readonly Path: string;
  readonly Rate: string;
}

export interface CredentialSpec extends Extensible {
  readonly config?: string;
  readonly file?: string;
  readonly registry?: string;
}

export type DependencyCondition = "service_started" | "service_healthy" | "service_completed_successfully";

export interface Dependency extends Extensible {
  readonly condition: DependencyCondition;
  readonly restart?: boolean;
  readonly required: boolean;
}

export interface Deploy extends Extensible {
  readonly mode?: string;
  readonly replicas?: number;
  readonly labels?: Dict<string>;
  readonly update_config?: UpdateConfig;
  readonly rollback_config?: UpdateConfig;
  /** Always there, `{}` where nothing is said. */
  readonly resources: Resources;
  readonly restart_policy?: RestartPolicy;
  /** Always there, `{}` where nothing is said. */
  readonly placement: Placement;
  readonly endpoint_mode?: string;
}

export interface UpdateConfig extends Extensible {
  readonly parallelism?: number;
  readonly delay?: string;
  readonly failure_action?: string;
  readonly monitor?: string;
  readonly max_failure_ratio?: number;
  readonly order?: string;
}

export interface Resources extends Extensible {
  readonly limits?: Resource;
  readonly reservations?: Resource;
}

export interface Resource extends Extensible {
  readonly cpus?: number;
  readonly memory?: string;
  readonly pids?: number;
  readonly devices?: readonly DeviceRequest[];
  readonly generic_resources?: readonly GenericResource[];
}

export interface GenericResource extends Extensible {
  readonly discrete_resource_spec?: { readonly kind: string; readonly value: number };
}

export interface RestartPolicy extends Extensible {
  readonly condition?: string;
  readonly delay?: string;
  readonly max_attempts?: number;
  readonly window?: string;
}

export interface Placement extends Extensible {
  readonly constraints?: Strings;
  readonly preferences?: readonly { readonly spread?: string }[];
  readonly max_replicas_per_node?: number;
}

/** `count` -1: all. */
export interface DeviceRequest {
  readonly capabilities?: Strings;
  readonly driver?: string;
  readonly count?: number;
  readonly device_ids?: Strings;
  readonly options?: Dict<string>;
}

export interface DeviceMapping extends Extensible {
  readonly source?: string;
  readonly target?: string;
  readonly permissions?: string;
}

export interface Provider extends Extensible {
  readonly type?: string;
  readonly options?: Dict<Strings>;
}

/** `required` is left out when true. */
export interface EnvFile {
  readonly path?: string;
  readonly required?: false;
  readonly format?: string;
}

export interface Healthcheck extends Extensible {
  /** First element `CMD`, `CMD-SHELL` or `NONE`. */
  readonly test?: Strings;
  readonly timeout?: string;
  readonly interval?: string;
  readonly retries?: number;
  readonly start_period?: string;
  readonly start_interval?: string;
  readonly disable?: boolean;
}

export interface Logging extends Extensible {
  readonly driver?: string;
  readonly options?: Dict<string>;
}

export interface ServiceModel extends Extensible {
  readonly endpoint_var?: string;
  readonly model_var?: string;
}

export interface ServiceNetwork extends Extensible {
  readonly aliases?: Strings;
  readonly driver_opts?: Dict<string>;
  readonly gw_priority?: number;
  readonly interface_name?: string;
  readonly ipv4_address?: string;
  readonly ipv6_address?: string;
  readonly link_local_ips?: Strings;
  readonly mac_address?: string;
  readonly priority?: number;
}

/** `published`: absent for a port the host chooses, else a number or a range, as text. */
export interface Port extends Extensible {
  readonly name?: string;
  readonly mode?: string;
  readonly host_ip?: string;
  readonly target?: number;
  readonly published?: string;
  readonly protocol?: string;
  readonly app_protocol?: string;
}

export interface FileReference extends Extensible {
  readonly source?: string;
  readonly target?: string;
  readonly uid?: string;
  readonly gid?: string;
  readonly mode?: string;
}

/** A number: soft and hard alike. */
export type Ulimit = number | ({ readonly soft?: number; readonly hard?: number } & Extensible);
