/** Values as Go's fmt prints them, for lines of history that others compare. */
import { goQuote } from "../dockerfile/go-text.ts";
import type { Healthcheck } from "../dockerfile/instruction.ts";

/** `["a" "b"]`, the verb `%q` of a list. */
export function quotedList(words: readonly string[]): string {
  return `[${words.map(goQuote).join(" ")}]`;
}

/** `[a b]`, the verb `%v`. */
export function plainList(words: readonly string[]): string {
  return `[${words.join(" ")}]`;
}

/** `1m30s`, `1.5ms`: Go's `Duration.String`. */
export function durationText(ns: number): string {
  if (ns === 0) return "0s";
  const sign = ns < 0 ? "-" : "";
  const value = Math.abs(ns);
  if (value < 1e9) {
    if (value < 1e3) return `${sign}${value}ns`;
    return value < 1e6 ? `${sign}${fraction(value, 1e3)}\u00b5s` : `${sign}${fraction(value, 1e6)}ms`;
  }
  const seconds = fraction(value % 60e9, 1e9);
  const minutes = Math.floor(value / 60e9) % 60;
  const hours = Math.floor(value / 3600e9);
  return `${sign}${hours > 0 ? `${hours}h` : ""}${hours > 0 || minutes > 0 ? `${minutes}m` : ""}${seconds}s`;
}

function fraction(value: number, unit: number): string {
  const digits = Math.log10(unit);
  const rest = String(Math.round(value % unit))
    .padStart(digits, "0")
    .replace(/0+$/, "");
  return `${Math.floor(value / unit)}${rest === "" ? "" : `.${rest}`}`;
}

export function healthcheckText(check: Healthcheck): string {
  const { test, intervalNs, timeoutNs, startPeriodNs, startIntervalNs, retries } = check;
  return (
    `{Test:${plainList(test)} Interval:${durationText(intervalNs)} Timeout:${durationText(timeoutNs)}` +
    ` StartPeriod:${durationText(startPeriodNs)} StartInterval:${durationText(startIntervalNs)} Retries:${retries}}`
  );
}
