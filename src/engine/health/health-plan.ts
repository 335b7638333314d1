/** When to probe a container's health, and what a result means. Pure: times come as arguments, in milliseconds of one monotonic
 *  clock. Source: Docker's health monitor (HEALTHCHECK in the Dockerfile reference); engine-api.md 6.2. */
import type { ContainerConfig, HealthLogEntry, HealthState } from "../types.ts";

export interface HealthPlan {
  readonly argv: readonly string[];
  readonly intervalMs: number;
  readonly timeoutMs: number;
  readonly retries: number;
  readonly startPeriodMs: number;
  readonly startIntervalMs: number;
  /** Look also in between, from the start to the first success: see `nextProbe`. */
  readonly eager: boolean;
}

const millisecond = 1e6;
const defaults = { intervalMs: 30_000, timeoutMs: 30_000, retries: 3, startIntervalMs: 5_000 };
const defaultShell = ["/bin/sh", "-c"];

/** Undefined for a container without a check. `eager` is for those that set no StartInterval, unless it is switched off. */
export function planHealth(config: ContainerConfig, allowEager: boolean): HealthPlan | undefined {
  const check = config.Healthcheck;
  const [kind, ...rest] = check?.Test ?? [];
  if (check === undefined || kind === undefined || kind === "NONE" || rest.length === 0) return undefined;
  const shell =
    config.Shell === undefined || config.Shell === null || config.Shell.length === 0 ? defaultShell : config.Shell;
  const duration = (ns: number | undefined, fallback: number): number =>
    ns === undefined || ns === 0 ? fallback : ns / millisecond;
  return {
    argv: kind === "CMD-SHELL" ? [...shell, ...rest] : rest,
    intervalMs: duration(check.Interval, defaults.intervalMs),
    timeoutMs: duration(check.Timeout, defaults.timeoutMs),
    retries: check.Retries === undefined || check.Retries === 0 ? defaults.retries : check.Retries,
    startPeriodMs: duration(check.StartPeriod, 0),
    startIntervalMs: duration(check.StartInterval, defaults.startIntervalMs),
    eager: allowEager && (check.StartInterval ?? 0) === 0,
  };
}

export interface ProbeHistory {
  readonly startedMs: number;
  /** End of the last counted probe. */
  readonly countedMs: number | undefined;
  /** End of the last probe of any kind. */
  readonly lastMs: number | undefined;
  readonly eagerProbes: number;
}

export interface NextProbe {
  readonly atMs: number;
  /** As Docker would: it is logged, and a failure counts. Otherwise only a success means something. */
  readonly counted: boolean;
}

const eagerFirstMs = 50;
const eagerLastMs = 1000;

/** Docker's schedule, and while the container is starting eager probes in between: at once, then after 50, 100, 200, ... 1000 ms. */
export function nextProbe(plan: HealthPlan, health: HealthState, history: ProbeHistory): NextProbe {
  const starting = health.Status === "starting";
  const base = history.countedMs ?? history.startedMs;
  const inStartPeriod = starting && base - history.startedMs < plan.startPeriodMs;
  const countedAt = base + (inStartPeriod ? plan.startIntervalMs : plan.intervalMs);
  if (!starting || !plan.eager) return { atMs: countedAt, counted: true };
  const backOff = Math.min(eagerLastMs, eagerFirstMs * 2 ** (history.eagerProbes - 1));
  const eagerAt = history.lastMs === undefined ? history.startedMs : history.lastMs + backOff;
  return eagerAt < countedAt ? { atMs: eagerAt, counted: false } : { atMs: countedAt, counted: true };
}

const logLength = 5;

/** `sinceStartMs`: from the container's start to the probe's. */
export function afterProbe(
  plan: HealthPlan,
  health: HealthState,
  probe: { readonly entry: HealthLogEntry; readonly sinceStartMs: number; readonly counted: boolean },
): HealthState {
  const success = probe.entry.ExitCode === 0;
  if (!probe.counted && !success) return health;
  const Log = [...health.Log, probe.entry].slice(-logLength);
  if (success) return { Status: "healthy", FailingStreak: 0, Log };
  if (health.Status === "starting" && probe.sinceStartMs < plan.startPeriodMs) return { ...health, Log };
  const FailingStreak = health.FailingStreak + 1;
  return { Status: FailingStreak >= plan.retries ? "unhealthy" : health.Status, FailingStreak, Log };
}
