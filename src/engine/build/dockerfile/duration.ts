/** Durations as in `--interval=1m30s`: Go's `time.ParseDuration`. */
import { goQuote } from "./go-text.ts";
import { problem } from "./problem.ts";

const unitNs: Readonly<Record<string, bigint>> = {
  ns: 1n,
  us: 1_000n,
  "\u00b5s": 1_000n,
  "\u03bcs": 1_000n,
  ms: 1_000_000n,
  s: 1_000_000_000n,
  m: 60_000_000_000n,
  h: 3_600_000_000_000n,
};

const maxNs = (1n << 63n) - 1n;

/** Nanoseconds.
 *  @throws build/invalid for what is no duration, lacks a unit, or does not fit 63 bits. */
export function parseDurationNs(text: string): number {
  const invalid = (): unknown => problem(`time: invalid duration ${goQuote(text)}`);
  const sign = /^[+-]/.exec(text)?.[0] ?? "";
  let rest = text.slice(sign.length);
  if (rest === "0") return 0;
  if (rest === "") throw invalid();
  let total = 0n;
  while (rest !== "") {
    const number = /^([0-9]*)(?:\.([0-9]*))?/.exec(rest);
    const whole = number?.[1] ?? "";
    const fraction = number?.[2] ?? "";
    if (whole === "" && fraction === "") throw invalid();
    rest = rest.slice(number?.[0].length ?? 0);
    const unit = /^[^0-9.]*/.exec(rest)?.[0] ?? "";
    if (unit === "") throw problem(`time: missing unit in duration ${goQuote(text)}`);
    const scale = Object.hasOwn(unitNs, unit) ? unitNs[unit] : undefined;
    if (scale === undefined) throw problem(`time: unknown unit ${goQuote(unit)} in duration ${goQuote(text)}`);
    rest = rest.slice(unit.length);
    // More than 18 digits of a fraction of the largest unit are below a nanosecond.
    const digits = fraction.slice(0, 18);
    total += BigInt(whole === "" ? 0 : whole) * scale;
    if (digits !== "") total += (BigInt(digits) * scale) / 10n ** BigInt(digits.length);
    if (total > maxNs + (sign === "-" ? 1n : 0n)) throw invalid();
  }
  return Number(sign === "-" ? -total : total);
}
