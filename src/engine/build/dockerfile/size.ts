/** Sizes as in `size=64m`: units are powers of 1024, as go-units' `RAMInBytes`. */

const exponents: Readonly<Record<string, number>> = { "": 0, k: 1, m: 2, g: 3, t: 4, p: 5, e: 6, z: 7, y: 8 };

/** Bytes; undefined for what is no size: `64`, `64b`, `1.5g`, `64 MiB`. */
export function parseSizeBytes(text: string): number | undefined {
  const match = /^([0-9]+(?:\.[0-9]+)?|\.[0-9]+) ?([kmgtpezy]?)(i?b?)$/i.exec(text);
  if (match === null) return undefined;
  const unit = (match[2] ?? "").toLowerCase();
  const tail = (match[3] ?? "").toLowerCase();
  if (unit === "" ? tail.startsWith("i") : tail === "i") return undefined;
  const bytes = Math.floor(Number(match[1]) * 1024 ** (exponents[unit] ?? 0));
  return bytes <= Number.MAX_SAFE_INTEGER ? bytes : undefined;
}
