/** The text forms of the canonical model, as the numbers of the Engine API. */
import { parseDuration } from "../../spec/units.ts";

/** Decimal text of bytes (or another count) to a number; undefined stays undefined. `-1` is kept. */
export function count(text: string | undefined): number | undefined {
  return text === undefined ? undefined : Number(text);
}

/** Go's notation (`1m30s`) to nanoseconds. */
export function nanoseconds(text: string | undefined): number | undefined {
  return text === undefined ? undefined : parseDuration(text);
}

/** Whole seconds, cut off as Docker Compose does. */
export function seconds(text: string | undefined): number | undefined {
  return text === undefined ? undefined : Math.trunc(parseDuration(text) / 1e9);
}

/** The object without its undefined properties, so that a body says only what the compose file says. */
export function defined<T extends object>(value: { readonly [K in keyof T]: T[K] | undefined }): T {
  return Object.fromEntries(Object.entries(value).filter(([, item]) => item !== undefined)) as T;
}

/** Undefined for an empty list, so that it is left out. */
export function nonEmpty<T>(items: readonly T[] | undefined): readonly T[] | undefined {
  return items === undefined || items.length === 0 ? undefined : items;
}
