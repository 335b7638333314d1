/** The text forms of the canonical model, as the numbers of the Engine API. */

/** Decimal text of bytes (or another count) to a number; undefined stays undefined. `-1` is kept. */
export function count(text: string | undefined): number | undefined {
  return text === undefined ? undefined : Number(text);
}

const nanosecondsPerUnit: Readonly<Record<string, number>> = {
  ns: 1,
  us: 1e3,
  µs: 1e3,
  μs: 1e3,
  ms: 1e6,
  s: 1e9,
  m: 60e9,
  h: 3600e9,
};

/** Go's notation (`1m30s`, `1.5h`) to nanoseconds. */
export function nanoseconds(text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  let total = 0;
  for (const [, value, unit] of text.matchAll(/(\d+(?:\.\d+)?|\.\d+)(ns|us|µs|μs|ms|s|m|h)/g)) {
    total += Number(value) * (nanosecondsPerUnit[unit ?? ""] ?? 0);
  }
  return Math.round(text.startsWith("-") ? -total : total);
}

/** Whole seconds, cut off as Docker Compose does. */
export function seconds(text: string | undefined): number | undefined {
  const value = nanoseconds(text);
  return value === undefined ? undefined : Math.trunc(value / 1e9);
}

/** The object without its undefined properties, so that a body says only what the compose file says. */
export function defined<T extends object>(value: { readonly [K in keyof T]: T[K] | undefined }): T {
  return Object.fromEntries(Object.entries(value).filter(([, item]) => item !== undefined)) as T;
}

/** Undefined for an empty list, so that it is left out. */
export function nonEmpty<T>(items: readonly T[] | undefined): readonly T[] | undefined {
  return items === undefined || items.length === 0 ? undefined : items;
}
