import { z } from "zod";

import { build, develop, hook, preStartHook } from "./build.ts";
import { deploy, gpus } from "./deploy.ts";
import {
  boolean,
  closed,
  command,
  extensible,
  extraHosts,
  fileReferences,
  integer,
  keyed,
  number,
  pairs,
  resourceKey,
  text,
  textOrBoolean,
  textOrInteger,
  textOrNumber,
  textOrTexts,
  texts,
  ulimits,
  uniqueList,
  uniqueTexts,
} from "./kit.ts";
import { networks, ports, volumes } from "./service-lists.ts";

const throttle = z.array(closed({ path: text.optional(), rate: textOrInteger.optional() })).meta({ id: "blkio_limit" });

const dependsOn = z.union([
  uniqueTexts,
  keyed(
    resourceKey,
    extensible({
      restart: textOrBoolean.optional(),
      required: boolean.optional(),
      condition: z.enum(["service_started", "service_healthy", "service_completed_successfully"]),
    }),
    "refused",
  ),
]);

const envFile = z.union([
  text,
  z.array(z.union([text, closed({ path: text, format: text.optional(), required: textOrBoolean.optional() })])),
]);

const optionValue = z.union([z.string(), z.number(), z.boolean()]);

const healthcheck = extensible({
  disable: textOrBoolean.optional(),
  interval: text.optional(),
  retries: textOrNumber.optional(),
  test: z.union([text, texts]).optional(),
  timeout: text.optional(),
  start_period: text.optional(),
  start_interval: text.optional(),
}).meta({ id: "healthcheck" });

const serviceModels = z.union([
  uniqueTexts,
  keyed(resourceKey, extensible({ endpoint_var: text.optional(), model_var: text.optional() }).nullable(), "unchecked"),
]);

export const service = extensible({
  develop: develop.optional(),
  deploy: deploy.optional(),
  annotations: pairs.optional(),
  attach: textOrBoolean.optional(),
  build: build.optional(),
  blkio_config: closed({
    device_read_bps: throttle.optional(),
    device_read_iops: throttle.optional(),
    device_write_bps: throttle.optional(),
    device_write_iops: throttle.optional(),
    weight: textOrInteger.optional(),
    weight_device: z.array(closed({ path: text.optional(), weight: textOrInteger.optional() })).optional(),
  }).optional(),
  cap_add: uniqueList(text).optional(),
  cap_drop: uniqueList(text).optional(),
  cgroup: z.enum(["host", "private"]).optional(),
  cgroup_parent: text.optional(),
  command: command.optional(),
  configs: fileReferences.optional(),
  container_name: text.regex(/[a-zA-Z0-9][a-zA-Z0-9_.-]+/).optional(),
  cpu_count: z.union([text, integer.min(0)]).optional(),
  cpu_percent: z.union([text, integer.min(0).max(100)]).optional(),
  cpu_shares: textOrNumber.optional(),
  cpu_quota: textOrNumber.optional(),
  cpu_period: textOrNumber.optional(),
  cpu_rt_period: textOrNumber.optional(),
  cpu_rt_runtime: textOrNumber.optional(),
  cpus: textOrNumber.optional(),
  cpuset: text.optional(),
  credential_spec: extensible({
    config: text.optional(),
    file: text.optional(),
    registry: text.optional(),
  }).optional(),
  depends_on: dependsOn.optional(),
  device_cgroup_rules: uniqueTexts.optional(),
  devices: z
    .array(z.union([text, extensible({ source: text, target: text.optional(), permissions: text.optional() })]))
    .optional(),
  dns: textOrTexts.optional(),
  dns_opt: uniqueList(text).optional(),
  dns_search: textOrTexts.optional(),
  domainname: text.optional(),
  entrypoint: command.optional(),
  env_file: envFile.optional(),
  label_file: z.union([text, texts]).optional(),
  environment: pairs.optional(),
  expose: uniqueList(textOrNumber).optional(),
  extends: z.union([text, closed({ service: text, file: text.optional() })]).optional(),
  provider: extensible({
    type: text,
    options: keyed("^.+$", z.union([optionValue, z.array(optionValue)]), "unchecked").optional(),
  }).optional(),
  external_links: uniqueList(text).optional(),
  extra_hosts: extraHosts.optional(),
  gpus: gpus.optional(),
  group_add: uniqueList(textOrNumber).optional(),
  healthcheck: healthcheck.optional(),
  hostname: text.optional(),
  image: text.optional(),
  init: textOrBoolean.optional(),
  ipc: text.optional(),
  isolation: text.optional(),
  labels: pairs.optional(),
  links: uniqueList(text).optional(),
  logging: extensible({
    driver: text.optional(),
    options: keyed("^.+$", z.union([text, number, z.null()]), "unchecked").optional(),
  }).optional(),
  mac_address: text.optional(),
  mem_limit: textOrNumber.optional(),
  mem_reservation: textOrInteger.optional(),
  mem_swappiness: textOrInteger.optional(),
  memswap_limit: textOrNumber.optional(),
  network_mode: text.optional(),
  models: serviceModels.optional(),
  networks: networks.optional(),
  oom_kill_disable: textOrBoolean.optional(),
  oom_score_adj: z.union([text, integer.min(-1000).max(1000)]).optional(),
  pid: text.nullable().optional(),
  pids_limit: textOrNumber.optional(),
  platform: text.optional(),
  ports: ports.optional(),
  pre_start: z.array(preStartHook).optional(),
  post_start: z.array(hook).optional(),
  pre_stop: z.array(hook).optional(),
  privileged: textOrBoolean.optional(),
  profiles: uniqueTexts.optional(),
  pull_policy: text
    .regex(/always|never|build|if_not_present|missing|refresh|daily|weekly|every_([0-9]+[wdhms])+/)
    .optional(),
  pull_refresh_after: text.optional(),
  read_only: textOrBoolean.optional(),
  restart: text.optional(),
  runtime: text.optional(),
  scale: textOrInteger.optional(),
  security_opt: uniqueList(text).optional(),
  shm_size: textOrNumber.optional(),
  secrets: fileReferences.optional(),
  sysctls: pairs.optional(),
  stdin_open: textOrBoolean.optional(),
  stop_grace_period: text.optional(),
  stop_signal: text.optional(),
  storage_opt: z.record(z.string(), z.unknown()).optional(),
  tmpfs: textOrTexts.optional(),
  tty: textOrBoolean.optional(),
  ulimits: ulimits.optional(),
  use_api_socket: boolean.optional(),
  user: text.optional(),
  uts: text.optional(),
  userns_mode: text.optional(),
  volumes: volumes.optional(),
  volumes_from: uniqueList(text).optional(),
  working_dir: text.optional(),
}).meta({ id: "service" });
