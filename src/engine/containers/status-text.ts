/** The `Status` and `Command` of a list, which clients print as they are. Pure. Source: Docker's go-units durations. */
import { parseRfc3339 } from "../../host/clock.ts";
import type { RecordedState } from "./record.ts";

/** `nowNs`: Unix nanoseconds. */
export function statusText(state: RecordedState, nowNs: bigint): string {
  const since = (time: string): string => humanDuration(nowNs - (parseRfc3339(time) ?? nowNs));
  switch (state.status) {
    case "created":
      return "Created";
    case "dead":
      return "Dead";
    case "removing":
      return "Removal In Progress";
    case "restarting":
      return `Restarting (${state.exitCode}) ${since(state.finishedAt)} ago`;
    case "exited":
      return `Exited (${state.exitCode}) ${since(state.finishedAt)} ago`;
    case "paused":
      return `Up ${since(state.startedAt)} (Paused)`;
    case "running": {
      const up = `Up ${since(state.startedAt)}`;
      const health = state.health?.Status ?? "none";
      if (health === "none") return up;
      return health === "starting" ? `${up} (health: starting)` : `${up} (${health})`;
    }
  }
}

export function humanDuration(ns: bigint): string {
  const seconds = Number(ns / 1_000_000_000n);
  const minutes = Math.floor(seconds / 60);
  const hours = Math.round(seconds / 3600);
  const steps: readonly (readonly [below: boolean, text: string])[] = [
    [seconds < 1, "Less than a second"],
    [seconds === 1, "1 second"],
    [seconds < 60, `${seconds} seconds`],
    [minutes === 1, "About a minute"],
    [minutes < 60, `${minutes} minutes`],
    [hours === 1, "About an hour"],
    [hours < 48, `${hours} hours`],
    [hours < 24 * 7 * 2, `${Math.floor(hours / 24)} days`],
    [hours < 24 * 30 * 2, `${Math.floor(hours / 24 / 7)} weeks`],
    [hours < 24 * 365 * 2, `${Math.floor(hours / 24 / 30)} months`],
  ];
  return steps.find(([below]) => below)?.[1] ?? `${Math.floor(hours / 24 / 365)} years`;
}

/** Program and arguments; those with a space quoted. */
export function commandText(path: string, args: readonly string[]): string {
  return [path, ...args.map((arg) => (/\s/.test(arg) ? `'${arg}'` : arg))].join(" ");
}
