/** Times as the API takes them. Pure. */

/** Unix nanoseconds as the `seconds.nanoseconds` of the API. */
export function nanoTime(nanoseconds: string): string {
  const digits = nanoseconds.padStart(10, "0");
  return `${digits.slice(0, -9)}.${digits.slice(-9)}`;
}

/** RFC 3339 as the same. */
export function apiTime(text: string): string {
  const fraction = /\.(\d{1,9})/.exec(text)?.[1] ?? "";
  return `${Math.floor(Date.parse(text) / 1000)}.${fraction.padEnd(9, "0")}`;
}
