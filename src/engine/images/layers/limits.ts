/** What a layer may cost (security.md I-19). Pure. */
export interface LayerLimits {
  /** Bytes after unpacking. */
  readonly maxBytes: number;
  /** Unpacked to packed bytes, looked at above `ratioFloorBytes`. */
  readonly maxRatio: number;
  readonly ratioFloorBytes: number;
  readonly maxEntries: number;
}

export const defaultLimits: LayerLimits = {
  maxBytes: 64 * 2 ** 30,
  maxRatio: 200,
  ratioFloorBytes: 2 ** 30,
  maxEntries: 10_000_000,
};
