/** Pure: query parameters as Docker reads them. Every refusal is request/invalid.
 *  Source: moby daemon/server/httputils/form.go; engine-api reference, sections 2 to 4. */
import { TscomposeError } from "../errors.ts";
import type { Filters } from "./wire.ts";

/** False for absent, "", 0, no, false and none in any case; everything else is true. */
export function readBoolean(query: URLSearchParams, key: string, absent = false): boolean {
  const value = query.get(key);
  if (value === null) return absent;
  return !["", "0", "no", "false", "none"].includes(value.trim().toLowerCase());
}

/** `platform` as the routes of images have it: `{"os":"linux","architecture":"arm64","variant":"v8"}`, or the same as text.
 *  @returns `linux/arm64/v8`; undefined for absent and empty */
export function readPlatform(query: URLSearchParams): string | undefined {
  const given = query.getAll("platform").filter((item) => item !== "");
  if (given.length > 1) {
    throw new TscomposeError("request/unsupported", "several platforms at once are not supported by this engine", {
      hint: "ask for one after the other",
    });
  }
  const [text] = given;
  if (text?.startsWith("{") !== true) return text;
  const { os, architecture, variant } = parsePlatformObject(text);
  if (typeof os !== "string" || typeof architecture !== "string" || os === "" || architecture === "")
    throw invalid(`failed to parse platform: both OS and Architecture must be provided`);
  return [os, architecture, ...(typeof variant === "string" && variant !== "" ? [variant] : [])].join("/");
}

function parsePlatformObject(text: string): Readonly<Record<string, unknown>> {
  try {
    return JSON.parse(text) as Readonly<Record<string, unknown>>;
  } catch (error) {
    throw new TscomposeError("request/invalid", `failed to parse platform: ${text.slice(0, 100)}`, { cause: error });
  }
}

/** Undefined for absent and empty. */
export function readText(query: URLSearchParams, key: string): string | undefined {
  return query.get(key) || undefined;
}

/** A decimal integer; undefined for absent and empty. */
export function readInteger(query: URLSearchParams, key: string): number | undefined {
  const text = query.get(key) ?? "";
  if (text === "") return undefined;
  const value = /^[+-]?\d{1,15}$/.test(text) ? Number(text) : NaN;
  if (!Number.isSafeInteger(value)) throw invalid(`invalid value for "${key}": "${text}" is not an integer`);
  return value;
}

/** `seconds[.fraction]` as Unix nanoseconds; undefined for absent, empty and zero. */
export function readMoment(query: URLSearchParams, key: string): bigint | undefined {
  const text = query.get(key) ?? "";
  if (text === "") return undefined;
  const match = /^(-?)(\d{1,12})(?:\.(\d{1,18}))?$/.exec(text);
  if (match === null) throw invalid(`invalid value for "${key}": "${text}" is not a Unix time in seconds`);
  const [, sign, seconds = "0", fraction = ""] = match;
  const ns = BigInt(seconds) * 1_000_000_000n + BigInt(fraction.padEnd(9, "0").slice(0, 9));
  return ns === 0n ? undefined : sign === "-" ? -ns : ns;
}

/** Both encodings: `{"label":{"a=b":true}}` and `{"label":["a=b"]}`. `accepted` undefined: any key. */
export function readFilters(query: URLSearchParams, accepted: readonly string[] | undefined): Filters {
  const text = query.get("filters") ?? "";
  const filters = new Map<string, readonly string[]>();
  if (text === "") return filters;
  for (const [key, value] of Object.entries(parseObject(text))) {
    if (accepted !== undefined && !accepted.includes(key)) throw invalid(`invalid filter '${key}'`);
    filters.set(key, readFilterValues(value));
  }
  return filters;
}

function parseObject(text: string): object {
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value === "object" && value !== null && !Array.isArray(value)) return value;
  } catch (error) {
    throw new TscomposeError("request/invalid", "invalid filter", { cause: error });
  }
  throw invalid("invalid filter");
}

function readFilterValues(value: unknown): readonly string[] {
  if (Array.isArray(value) && value.every((item) => typeof item === "string")) return value;
  if (typeof value !== "object" || value === null || Array.isArray(value)) throw invalid("invalid filter");
  const entries = Object.entries(value);
  if (!entries.every(([, accepted]) => typeof accepted === "boolean")) throw invalid("invalid filter");
  return entries.filter(([, accepted]) => accepted === true).map(([item]) => item);
}

function invalid(message: string): TscomposeError {
  return new TscomposeError("request/invalid", message);
}
