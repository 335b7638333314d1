/** Wall-clock time with the resolution that Docker's records have. Source: clock_gettime(2). */
import { check, libc } from "./libc.ts";

const clockGettimeFn = libc.func("int clock_gettime(int, _Out_ uint8_t *)");
const CLOCK_REALTIME = 0;

/** Unix time in nanoseconds. */
export function realtimeNs(): bigint {
  const spec = Buffer.alloc(16);
  check(clockGettimeFn(CLOCK_REALTIME, spec) as number, "clock_gettime", "realtime");
  return spec.readBigInt64LE(0) * 1_000_000_000n + spec.readBigInt64LE(8);
}

/** RFC 3339 in UTC with nine digits of fraction: `2026-11-20T23:43:41.472722625Z`. */
export function formatNanoseconds(ns: bigint): string {
  const milliseconds = Number(ns / 1_000_000n);
  const fraction = (ns % 1_000_000_000n).toString().padStart(9, "0");
  return `${new Date(milliseconds).toISOString().slice(0, 19)}.${fraction}Z`;
}

/** Unix nanoseconds of an RFC 3339 time with up to nine digits of fraction and `Z` or a numeric offset; undefined if it is none. */
export function parseRfc3339(text: string): bigint | undefined {
  const match = /^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?(Z|[+-]\d\d:\d\d)$/.exec(text);
  if (match === null) return undefined;
  const milliseconds = Date.parse(`${match[1]}${match[3]}`);
  if (Number.isNaN(milliseconds)) return undefined;
  return BigInt(milliseconds) * 1_000_000n + BigInt((match[2] ?? "").padEnd(9, "0"));
}
