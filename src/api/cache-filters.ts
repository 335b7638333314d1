/** Filters of what builds keep. Source: Docker Engine API 1.51, BuildPrune; BuildKit's filters of cache records. */
import { TscomposeError } from "../errors.ts";
import type { CacheUsage } from "../engine/build/types.ts";

const unitsMs: Readonly<Record<string, number>> = { ns: 1e-6, us: 1e-3, ms: 1, s: 1000, m: 60_000, h: 3_600_000 };

/** `24h`, `10m30s`; or a time, in seconds since the epoch or RFC 3339. */
function momentMs(value: string): number {
  if (/^[0-9]+(?:\.[0-9]+)?$/.test(value)) return Number(value) * 1000;
  const parts = [...value.matchAll(/([0-9.]+)(ns|us|ms|s|m|h)/g)];
  if (value !== "" && parts.map(([whole]) => whole).join("") === value)
    return Date.now() - parts.reduce((sum, [, number, unit]) => sum + Number(number) * (unitsMs[unit ?? ""] ?? 0), 0);
  const time = Date.parse(value);
  if (!Number.isNaN(time)) return time;
  throw new TscomposeError("request/invalid", `invalid filter: ${value} is neither a duration nor a time`, {
    hint: "write 24h",
  });
}

export type Test = (item: CacheUsage) => boolean;

function isTrue(values: readonly string[]): boolean {
  return values.some((value) => /^(?:1|true|)$/i.test(value));
}

/** Values of one key are alternatives; keys add up. @throws request/invalid */
function testOf(key: string, values: readonly string[]): Test {
  switch (key) {
    case "until":
    case "unused-for": {
      const times = values.map(momentMs);
      return ({ usedMs }) => times.every((time) => usedMs < time);
    }
    case "id":
      return ({ id }) => values.some((value) => value !== "" && id.startsWith(value));
    case "type":
      return ({ type }) => values.includes(type);
    case "description":
      return ({ description }) => values.some((value) => description.includes(value));
    case "inuse":
      return ({ inUse }) => inUse === isTrue(values);
    case "shared":
      return ({ shared }) => shared === isTrue(values);
    case "private":
      return ({ shared }) => shared !== isTrue(values);
    case "parent":
    case "parents":
      return () => false;
    default:
      throw new TscomposeError("request/invalid", `invalid filter '${key}'`, {
        hint: "use until, id, type, description, inuse, shared or private",
      });
  }
}

/** @throws request/invalid */
export function testsOf(filters: ReadonlyMap<string, readonly string[]>): readonly Test[] {
  return [...filters].map(([key, values]) => testOf(key, values));
}
