/** Filters of image lists and prunes. Pure. Source: engine-api.md section 4; Docker Engine, daemon/images. */
import { TscomposeError } from "../../errors.ts";
import { matchesLabel } from "../events.ts";
import type { Filters } from "../types.ts";
import type { Image } from "./image-records.ts";
import { familiarName, familiarRepository, tryParseReference } from "./reference.ts";
import { createdSeconds } from "./views.ts";

const listKeys = ["before", "dangling", "label", "reference", "since", "until"];
const pruneKeys = ["dangling", "label", "label!", "until"];

export interface FilterContext {
  readonly filters: Filters;
  /** Unix seconds. */
  readonly now: number;
  /** What `before` and `since` name. */
  readonly resolve: (ref: string) => Image;
}

/** @throws request/invalid for an unknown key or a value that means nothing */
export function filterImages(images: readonly Image[], context: FilterContext): readonly Image[] {
  assertKeys(context.filters, listKeys);
  const conditions = [...context.filters].map(([key, values]) => listCondition(key, values, context));
  return images.filter((image) => conditions.every((matches) => matches(image)));
}

/** Those a prune may delete, before asking who uses them. Without `dangling=false` only images without a tag. */
export function filterPrunable(images: readonly Image[], context: Omit<FilterContext, "resolve">): readonly Image[] {
  assertKeys(context.filters, pruneKeys);
  const dangling = context.filters.get("dangling");
  const onlyDangling = dangling === undefined || dangling.length === 0 || dangling.some((value) => parseBoolean(value));
  const labels = context.filters.get("label") ?? [];
  const without = context.filters.get("label!") ?? [];
  const until = context.filters.get("until");
  const limit = until === undefined || until.length === 0 ? Infinity : parseUntil(until, context.now);
  return images.filter((image) => {
    const own = image.config.config?.Labels ?? {};
    if (onlyDangling && image.tags.length > 0) return false;
    if (!labels.every((label) => matchesLabel(own, label)) || without.some((label) => matchesLabel(own, label)))
      return false;
    return createdSeconds(image) < limit;
  });
}

function assertKeys(filters: Filters, known: readonly string[]): void {
  const unknown = [...filters.keys()].find((key) => !known.includes(key));
  if (unknown === undefined) return;
  throw new TscomposeError("request/invalid", `invalid filter '${unknown}'`, {
    hint: `filters are ${known.join(", ")}`,
  });
}

function listCondition(key: string, values: readonly string[], context: FilterContext): (image: Image) => boolean {
  switch (key) {
    case "dangling": {
      const wanted = values.map(parseBoolean);
      return (image) => wanted.length === 0 || wanted.includes(image.tags.length === 0);
    }
    case "label":
      return (image) => values.every((value) => matchesLabel(image.config.config?.Labels ?? {}, value));
    case "reference": {
      const patterns = values.map(globPattern);
      return (image) => referenceNames(image).some((name) => patterns.some((pattern) => pattern.test(name)));
    }
    case "before": {
      const limit = Math.min(...values.map((ref) => createdSeconds(context.resolve(ref))));
      return (image) => createdSeconds(image) < limit;
    }
    case "since": {
      const limit = Math.max(...values.map((ref) => createdSeconds(context.resolve(ref))));
      return (image) => createdSeconds(image) > limit;
    }
    default: {
      const limit = parseUntil(values, context.now);
      return (image) => createdSeconds(image) < limit;
    }
  }
}

/** What a pattern is compared with: the familiar name with and without its tag. */
function referenceNames(image: Image): readonly string[] {
  return [...image.tags, ...image.digests].flatMap((name) => {
    const reference = tryParseReference(name);
    return reference === undefined ? [name] : [familiarName(reference), familiarRepository(reference)];
  });
}

/** Go's path.Match: `*` and `?` do not match a slash. */
function globPattern(glob: string): RegExp {
  let source = "";
  for (let i = 0; i < glob.length; i++) {
    const char = glob.charAt(i);
    const close = char === "[" ? glob.indexOf("]", i + 2) : -1;
    if (char === "*") source += "[^/]*";
    else if (char === "?") source += "[^/]";
    else if (char === "\\" && i + 1 < glob.length) source += escape(glob.charAt(++i));
    else if (close > 0) {
      source += `[${glob
        .slice(i + 1, close)
        .replaceAll("\\", "\\\\")
        .replaceAll("[", "\\[")}]`;
      i = close;
    } else source += escape(char);
  }
  try {
    return new RegExp(`^${source}$`);
  } catch (error) {
    throw new TscomposeError("request/invalid", `syntax error in pattern: ${glob}`, { cause: error });
  }
}

const escape = (char: string): string => char.replace(/[.*+?^${}()|[\]\\/]/, "\\$&");

function parseBoolean(value: string): boolean {
  if (["1", "true", "t", "TRUE", "True", "T"].includes(value)) return true;
  if (["0", "false", "f", "FALSE", "False", "F"].includes(value)) return false;
  throw new TscomposeError("request/invalid", `invalid filter 'dangling=[${value}]'`, { hint: "use true or false" });
}

const units: Readonly<Record<string, number>> = { h: 3600, m: 60, s: 1, ms: 0.001 };

/** A duration before now, a Unix time, or RFC 3339. @returns Unix seconds */
function parseUntil(values: readonly string[], now: number): number {
  const [text = "", ...more] = values;
  if (more.length > 0) throw new TscomposeError("request/invalid", "more than one until filter specified");
  if (/^\d+(\.\d+)?$/.test(text)) return Number(text);
  if (/^(\d+(\.\d+)?(h|ms|m|s))+$/.test(text)) {
    let total = 0;
    for (const [, amount, unit] of text.matchAll(/(\d+(?:\.\d+)?)(h|ms|m|s)/g)) {
      total += Number(amount) * (units[unit ?? ""] ?? 0);
    }
    return now - total;
  }
  const time = Date.parse(text);
  if (!Number.isNaN(time)) return time / 1000;
  throw new TscomposeError("request/invalid", `failed to parse value as time or duration: "${text}"`, {
    hint: "write a duration such as 24h, a Unix time, or 2026-01-31T00:00:00Z",
  });
}
