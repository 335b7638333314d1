/** A seeded source of choices: the same seed, the same cases. */
export interface Random {
  /** 0 up to, not including, `limit`. */
  int(limit: number): number;
  chance(probability: number): boolean;
  pick<T>(items: readonly T[]): T;
  some<T>(items: readonly T[], most: number): T[];
}

export function createRandom(seed: number): Random {
  let state = seed >>> 0;
  const next = (): number => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
  };
  const int = (limit: number): number => Math.floor(next() * limit);
  const pick = <T>(items: readonly T[]): T => {
    const item = items[int(items.length)];
    if (item === undefined && items.length === 0) throw new Error("nothing to pick from");
    return item as T;
  };
  return {
    int,
    chance: (probability) => next() < probability,
    pick,
    some: (items, most) => {
      const count = int(Math.min(most, items.length) + 1);
      const left = [...items];
      return Array.from({ length: count }, () => left.splice(int(left.length), 1)[0] as (typeof items)[number]);
    },
  };
}
