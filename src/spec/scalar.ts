import type { ScalarValue } from "./tree.ts";

/** Reads plain YAML scalars and prints values the way Docker Compose's YAML library and Go's `%v` do. Go's reader is YAML 1.2
 *  with leftovers of 1.1: `0777` and `0b11` are numbers, `1_000` too, `yes` is text, a date is a point in time. */

export interface ResolvedScalar {
  readonly value: ScalarValue;
  readonly float: boolean;
}

const constants = new Map<string, ScalarValue>([
  ["", null],
  ["~", null],
  ["null", null],
  ["Null", null],
  ["NULL", null],
  ["true", true],
  ["True", true],
  ["TRUE", true],
  ["false", false],
  ["False", false],
  ["FALSE", false],
  [".nan", Number.NaN],
  [".NaN", Number.NaN],
  [".NAN", Number.NaN],
]);
for (const sign of ["", "+", "-"]) {
  for (const word of [".inf", ".Inf", ".INF"]) constants.set(sign + word, sign === "-" ? -Infinity : Infinity);
}

const floatShape = /^[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?$/;
const intShape = /^([-+]?)(?:0[xX]([0-9a-fA-F]+)|0[bB]([01]+)|0[oO]?([0-7]+)|(0|[1-9][0-9]*))$/;
const dateShape =
  /^(\d{4})-(\d{1,2})-(\d{1,2})(?:(?:[Tt]|[ \t]+)(\d{1,2}):(\d{2}):(\d{2})(\.\d*)?[ \t]*(Z|[-+]\d{1,2}(?::?\d{2})?)?)?$/;

export function resolvePlain(text: string): ResolvedScalar {
  const first = text.charCodeAt(0);
  // Letters other than those that can begin true, false and null, and everything above "z", can only begin text.
  if (first > 64 && !"tTfFnN~".includes(text[0] ?? "")) return { value: text, float: false };
  const constant = constants.get(text);
  if (constant !== undefined) return { value: constant, float: typeof constant === "number" };
  if ((first < 48 || first > 57) && first !== 43 && first !== 45 && first !== 46) return { value: text, float: false };
  return resolveNumber(text) ?? { value: resolveDate(text) ?? text, float: false };
}

export function resolveNumber(text: string): ResolvedScalar | undefined {
  if (text.startsWith(".")) return floatShape.test(text) ? finite(text) : undefined;
  const digits = text.replaceAll("_", "");
  const match = text.startsWith("_") ? null : intShape.exec(digits);
  if (match !== null) {
    const value = readInteger(match);
    if (value !== undefined) return { value, float: false };
  }
  return floatShape.test(digits) ? finite(digits) : undefined;
}

function readInteger(match: RegExpExecArray): number | bigint | undefined {
  const [, sign, hex, binary, octal, decimal] = match;
  const size =
    hex !== undefined
      ? BigInt(`0x${hex}`)
      : binary !== undefined
        ? BigInt(`0b${binary}`)
        : octal !== undefined
          ? BigInt(`0o${octal}`)
          : BigInt(decimal ?? "0");
  // Go reads "-0" as a floating point zero with a sign.
  if (size === 0n && sign === "-") return undefined;
  const value = sign === "-" ? -size : size;
  if (value > 18446744073709551615n || value < -9223372036854775808n) return undefined;
  const number = Number(value);
  return Number.isSafeInteger(number) ? number : value;
}

function finite(text: string): ResolvedScalar | undefined {
  const value = Number(text);
  return Number.isFinite(value) ? { value, float: true } : undefined;
}

/** The text Go prints for a point in time, which is what reaches the model. */
function resolveDate(text: string): string | undefined {
  const match = dateShape.exec(text);
  if (match === null) return undefined;
  const [, year = "", month = "", day = "", hour, minute = "00", second = "00", fraction = "", zone] = match;
  const date = `${year}-${month.padStart(2, "0")}-${day.padStart(2, "0")}`;
  if (Number.isNaN(Date.parse(date)) || new Date(date).getUTCDate() !== Number(day)) return undefined;
  if (hour !== undefined && Number(hour) > 23) return undefined;
  const tail = fraction.replace(/\.?0*$/, "");
  const offset = zone === undefined || zone === "Z" ? "+0000 UTC" : twice(zone);
  return `${date} ${(hour ?? "0").padStart(2, "0")}:${minute}:${second}${tail} ${offset}`;
}

function twice(zone: string): string {
  const [, sign = "+", hours = "0", minutes = "00"] = /^([-+])(\d{1,2}):?(\d{2})?$/.exec(zone) ?? [];
  const text = `${sign}${hours.padStart(2, "0")}${minutes}`;
  return text === "+0000" ? "+0000 UTC" : `${text} ${text}`;
}

/** Go's `fmt.Sprint`. */
export function formatScalar(value: ScalarValue, float = false): string {
  if (value === null) return "<nil>";
  if (typeof value !== "number") return String(value);
  return float || !Number.isInteger(value) ? formatFloat(value) : String(value);
}

/** Go's `%v` of a float64: shortest digits, with an exponent below 1e-4 and from 1e6 on. */
export function formatFloat(value: number): string {
  if (Number.isNaN(value)) return "NaN";
  if (!Number.isFinite(value)) return value > 0 ? "+Inf" : "-Inf";
  if (value === 0) return Object.is(value, -0) ? "-0" : "0";
  const [mantissa = "0", exponent = "0"] = value.toExponential().split("e");
  const power = Number(exponent);
  if (power >= 6 || power < -4) {
    return `${mantissa}e${power < 0 ? "-" : "+"}${String(Math.abs(power)).padStart(2, "0")}`;
  }
  // JavaScript writes an exponent only below 1e-6, which is handled above.
  return String(value);
}
