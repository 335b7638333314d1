import { pathTable } from "./path-table.ts";
import type { ScalarValue } from "./tree.ts";

/** Text at these paths is turned into what the schema wants there, after interpolation. Source: compose-go loader. */
export interface Cast {
  readonly value: ScalarValue;
  readonly float?: boolean;
  /** The text was YAML 1.1's word for it. */
  readonly trap?: boolean;
}

const integer = /^[-+]?[0-9]+$/;
const decimal = /^[-+]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?$/;

export function toInteger(text: string): Cast | undefined {
  if (!integer.test(text)) return undefined;
  const value = BigInt(text.replace(/^\+/, ""));
  if (value > 9223372036854775807n || value < -9223372036854775808n) return undefined;
  const number = Number(value);
  return { value: Number.isSafeInteger(number) ? number : value };
}

export function toFloat(text: string): Cast | undefined {
  if (!decimal.test(text)) return undefined;
  const value = Number(text);
  return Number.isFinite(value) ? { value, float: true } : undefined;
}

export function toBoolean(text: string): Cast | undefined {
  switch (text.toLowerCase()) {
    case "true":
      return { value: true };
    case "false":
      return { value: false };
    case "y":
    case "yes":
    case "on":
      return { value: true, trap: true };
    case "n":
    case "no":
    case "off":
      return { value: false, trap: true };
    default:
      return undefined;
  }
}

export const castKinds = { integer: toInteger, number: toFloat, boolean: toBoolean } as const;
export type CastKind = keyof typeof castKinds;

const services = (keys: readonly string[], kind: CastKind): (readonly [string, CastKind])[] =>
  keys.map((key) => [`services.*.${key}`, kind] as const);

export const castTable = pathTable<CastKind>([
  ...services(
    ["cpu_count", "cpu_period", "cpu_quota", "cpu_rt_period", "cpu_rt_runtime", "cpu_shares", "oom_score_adj"],
    "integer",
  ),
  ...services(["pids_limit", "scale", "healthcheck.retries", "ports.*.target"], "integer"),
  ...services(["ulimits.*", "ulimits.*.hard", "ulimits.*.soft"], "integer"),
  ...services(["deploy.replicas", "deploy.update_config.parallelism", "deploy.rollback_config.parallelism"], "integer"),
  ...services(["deploy.restart_policy.max_attempts", "deploy.placement.max_replicas_per_node"], "integer"),
  ...services(["cpu_percent", "cpus"], "number"),
  ...services(["deploy.update_config.max_failure_ratio", "deploy.rollback_config.max_failure_ratio"], "number"),
  ...services(["init", "depends_on.*.required", "depends_on.*.restart", "healthcheck.disable"], "boolean"),
  ...services(["oom_kill_disable", "privileged", "read_only", "stdin_open", "tty"], "boolean"),
  ...services(["volumes.*.read_only", "volumes.*.volume.nocopy"], "boolean"),
  ["networks.*.external", "boolean"],
  ["networks.*.internal", "boolean"],
  ["networks.*.attachable", "boolean"],
  ["networks.*.enable_ipv4", "boolean"],
  ["networks.*.enable_ipv6", "boolean"],
  ["volumes.*.external", "boolean"],
  ["secrets.*.external", "boolean"],
  ["configs.*.external", "boolean"],
]);
