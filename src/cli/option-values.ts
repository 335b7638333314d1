import { TscomposeError } from "../errors.ts";

/** Whole seconds of a `-t`; undefined where it was not given. @throws compose/usage */
export function timeoutSeconds(text: string | undefined, flag = "--timeout"): number | undefined {
  if (text === undefined) return undefined;
  const value = Number(text);
  if (text.trim() !== "" && Number.isInteger(value) && value >= -1) return value;
  throw new TscomposeError("compose/usage", `${flag} "${text}" is not a whole number of seconds`);
}

/** @throws compose/usage */
export function wholeNumber(text: string, flag: string): number {
  const value = Number(text);
  if (text.trim() !== "" && Number.isInteger(value) && value >= 0) return value;
  throw new TscomposeError("compose/usage", `${flag} "${text}" is not a whole number`);
}

/** `--wait-timeout`: 0 is no limit. */
export function waitTimeout(text: string | undefined): number | undefined {
  const value = text === undefined ? 0 : wholeNumber(text, "--wait-timeout");
  return value === 0 ? undefined : value;
}

/** @throws compose/usage for a value that is none of `known`. */
export function oneOf<Known extends string>(text: string, known: readonly Known[], flag: string): Known {
  const found = known.find((one) => one === text);
  if (found !== undefined) return found;
  throw new TscomposeError("compose/usage", `${flag} "${text}" is not known`, { hint: `one of: ${known.join(", ")}` });
}

/** `SERVICE=NUM`, each. @throws compose/usage */
export function scales(entries: readonly string[]): ReadonlyMap<string, number> {
  return new Map(
    entries.map((entry) => {
      const [, service, number] = /^([^=]+)=(\d+)$/.exec(entry) ?? [];
      if (service === undefined || number === undefined) {
        throw new TscomposeError("compose/usage", `"${entry}" does not say a number of containers`, {
          hint: "write SERVICE=NUMBER",
        });
      }
      return [service, Number(number)];
    }),
  );
}

/** At most one flag of each group. @throws compose/usage naming two that were given. */
export function exclusive(given: Readonly<Record<string, boolean>>, groups: readonly (readonly string[])[]): void {
  for (const group of groups) {
    const [first, second] = group.filter((flag) => given[flag] === true);
    if (second !== undefined)
      throw new TscomposeError("compose/usage", `${first ?? ""} and ${second} cannot be combined`);
  }
}

/** Unix seconds for what the API takes as `since` and `until`: a time (RFC 3339, date, Unix seconds) as it is, a duration (`10m`)
 *  as that long before now. @throws compose/usage */
export function moment(text: string | undefined, flag: string, nowMs: number): string | undefined {
  if (text === undefined) return undefined;
  if (/^\d+(\.\d{1,9})?$/.test(text)) return text;
  const parts = [...text.matchAll(/(\d+(?:\.\d+)?)(ms|us|ns|h|m|s)/g)];
  if (parts.length > 0 && parts.map(([whole]) => whole).join("") === text) {
    const seconds = parts.reduce((sum, [, value, unit]) => sum + Number(value) * (unitSeconds[unit ?? ""] ?? 0), 0);
    return (nowMs / 1000 - seconds).toFixed(9);
  }
  const time = Date.parse(/^\d{4}-\d\d-\d\d$/.test(text) ? `${text}T00:00:00` : text);
  if (Number.isNaN(time)) {
    throw new TscomposeError("compose/usage", `${flag} "${text}" is neither a time nor a duration`, {
      hint: "write 10m, 2026-11-21T09:00:00Z or Unix seconds",
    });
  }
  const nanoseconds = /\.(\d{1,9})/.exec(text)?.[1]?.padEnd(9, "0") ?? "000000000";
  return `${Math.floor(time / 1000)}.${nanoseconds}`;
}

const unitSeconds: Readonly<Record<string, number>> = { h: 3600, m: 60, s: 1, ms: 1e-3, us: 1e-6, ns: 1e-9 };
