/** The near miss for a mistyped word. */

/** Edit distance in code points: insert, delete and replace cost one each. */
export function editDistance(a: string, b: string): number {
  const left = Array.from(a);
  const right = Array.from(b);
  let previous = right.map((_, index) => index + 1);
  previous.unshift(0);
  for (const [row, character] of left.entries()) {
    const current = [row + 1];
    for (const [column, other] of right.entries()) {
      const replaced = (previous[column] ?? 0) + (character === other ? 0 : 1);
      current.push(Math.min(replaced, (previous[column + 1] ?? 0) + 1, (current[column] ?? 0) + 1));
    }
    previous = current;
  }
  return previous[right.length] ?? 0;
}

/** The option at most two edits away from `word` that is nearest (the first of several); undefined if there is none, or if
 *  `word` is an option itself. Without `ignoreCase` letters must match; with it the answer has the case of `word`. */
export function nearest(
  word: string,
  options: readonly string[],
  matching: "exact-case" | "ignore-case" = "exact-case",
): string | undefined {
  // A word this long is more than two edits from every option there is, and the distance costs its length squared.
  if (word.length > 64) return undefined;
  const wanted = matching === "ignore-case" ? word.toLowerCase() : word;
  let found: string | undefined;
  let least = 3;
  for (const option of options) {
    const candidate = matching === "ignore-case" ? option.toLowerCase() : option;
    if (candidate === wanted) return undefined;
    const distance = editDistance(wanted, candidate);
    if (distance >= least) continue;
    least = distance;
    found = candidate;
  }
  if (found !== undefined && matching === "ignore-case" && word === word.toUpperCase() && word !== wanted)
    return found.toUpperCase();
  return found;
}

/** ` (did you mean x?)`, or nothing. */
export function didYouMean(
  word: string,
  options: readonly string[],
  matching: "exact-case" | "ignore-case" = "exact-case",
): string {
  const match = nearest(word, options, matching);
  return match === undefined ? "" : ` (did you mean ${match}?)`;
}
