const unitNs = new Map<string, number>([
  ["ns", 1],
  ["us", 1e3],
  ["µs", 1e3],
  ["μs", 1e3],
  ["ms", 1e6],
  ["s", 1e9],
  ["m", 60e9],
  ["h", 3600e9],
  ["d", 24 * 3600e9],
  ["w", 7 * 24 * 3600e9],
]);
const maxInt64 = 9223372036854775807n;

/** Go's notation plus days and weeks (`1m30s`, `2.5h`, `1d`) to nanoseconds; undefined where it is not a duration. */
export function parseDurationNs(text: string): bigint | undefined {
  const negative = text.startsWith("-");
  let rest = /^[-+]/.test(text) ? text.slice(1) : text;
  if (rest === "0") return 0n;
  if (rest === "") return undefined;
  let total = 0n;
  while (rest !== "") {
    const match = /^([0-9]*)(?:\.([0-9]*))?([^0-9.]+)/.exec(rest);
    const [all = "", whole = "", fraction = "", unit = ""] = match ?? [];
    const factor = unitNs.get(unit);
    if (factor === undefined || (whole === "" && fraction === "")) return undefined;
    total += BigInt(whole === "" ? "0" : whole) * BigInt(factor) + fractionNs(fraction, factor);
    if (total > maxInt64) return undefined;
    rest = rest.slice(all.length);
  }
  return negative ? -total : total;
}

function fractionNs(digits: string, factor: number): bigint {
  if (digits === "") return 0n;
  // Go drops digits that do not fit an int64, then multiplies as floating point.
  const used = digits.slice(0, 18);
  return BigInt(Math.trunc(Number(used) * (factor / 10 ** used.length)));
}

/** The duration in nanoseconds, as a number (exact to about 104 days). @throws RangeError where it is not a duration. */
export function parseDuration(text: string): number {
  const value = parseDurationNs(text);
  if (value === undefined) throw new RangeError(`not a duration: ${text}`);
  return Number(value);
}

/** Go's `Duration.String`: `1m30s`, `1h0m0s`, `1.5s`, `100ms`. */
export function formatDuration(ns: bigint): string {
  if (ns === 0n) return "0s";
  const sign = ns < 0n ? "-" : "";
  const size = ns < 0n ? -ns : ns;
  if (size < 1_000n) return `${sign}${String(size)}ns`;
  if (size < 1_000_000n) return `${sign}${decimal(size, 3)}µs`;
  if (size < 1_000_000_000n) return `${sign}${decimal(size, 6)}ms`;
  const minutes = size / 60_000_000_000n;
  const seconds = `${decimal(size % 60_000_000_000n, 9)}s`;
  if (minutes === 0n) return sign + seconds;
  if (minutes < 60n) return `${sign}${String(minutes)}m${seconds}`;
  return `${sign}${String(minutes / 60n)}h${String(minutes % 60n)}m${seconds}`;
}

function decimal(value: bigint, places: number): string {
  const divisor = 10n ** BigInt(places);
  const fraction = String(value % divisor)
    .padStart(places, "0")
    .replace(/0+$/, "");
  return `${String(value / divisor)}${fraction === "" ? "" : `.${fraction}`}`;
}

const sizeShape = /^([0-9]+\.?[0-9]*|\.[0-9]+)[ ]?(?:([kmgtp])(?:i?b)?|b)?$/i;
const powers = "kmgtp";

/** `512m`, `1.5g`, `1gib`, `-1`, `4096`: binary multiples, to bytes; undefined where it is not a size. */
export function readBytes(text: string): bigint | undefined {
  if (/^[-+]?[0-9]+$/.test(text)) {
    const value = BigInt(text.replace(/^\+/, ""));
    return value > maxInt64 || value < -maxInt64 - 1n ? undefined : value;
  }
  const match = sizeShape.exec(text);
  if (match === null) return undefined;
  const [, digits = "0", unit = ""] = match;
  const power = unit === "" ? 0 : powers.indexOf(unit.toLowerCase()) + 1;
  const value = Number(digits) * 1024 ** power;
  return value >= 2 ** 63 ? undefined : BigInt(Math.trunc(value));
}

/** Bytes of a size as the model holds it (decimal text) or as a user writes it. @throws RangeError where it is not a size. */
export function parseBytes(text: string): number {
  const value = readBytes(text);
  if (value === undefined) throw new RangeError(`not a size: ${text}`);
  return Number(value);
}
