/** A small matcher for the regular expressions that ignore patterns turn into. It keeps the set of all possible states, so a
 *  hostile pattern costs pattern length times path length and no more; JavaScript's own engine would backtrack. */

type CharacterTest = (character: string) => boolean;

type Node =
  | { readonly kind: "one"; readonly test: CharacterTest; readonly next: number }
  | { readonly kind: "split"; readonly next: number; readonly other: number }
  | { readonly kind: "start"; readonly next: number }
  | { readonly kind: "accept" };

/** A part of a pattern, in the order of the text. */
export type Part =
  | { readonly kind: "one"; readonly test: CharacterTest }
  /** Any number of characters that pass. */
  | { readonly kind: "many"; readonly test: CharacterTest }
  /** One or none. */
  | { readonly kind: "maybe"; readonly parts: readonly Part[] }
  /** Matches nothing, and only at the start of the text. */
  | { readonly kind: "start" };

export interface LinearPattern {
  /** True where the whole of `text` matches. */
  matches(text: string): boolean;
}

export function linearPattern(parts: readonly Part[]): LinearPattern {
  const nodes: Node[] = [{ kind: "accept" }];
  const add = (node: Node): number => nodes.push(node) - 1;
  const build = (list: readonly Part[], last: number): number => {
    let next = last;
    for (const part of list.toReversed()) {
      if (part.kind === "one") next = add({ kind: "one", test: part.test, next });
      else if (part.kind === "start") next = add({ kind: "start", next });
      else if (part.kind === "maybe") next = add({ kind: "split", next: build(part.parts, next), other: next });
      else {
        const loop = nodes.length;
        nodes.push({ kind: "split", next: loop + 1, other: next });
        nodes.push({ kind: "one", test: part.test, next: loop });
        next = loop;
      }
    }
    return next;
  };
  const first = build(parts, 0);
  return { matches: (text) => run(nodes, first, text) };
}

function run(nodes: readonly Node[], first: number, text: string): boolean {
  let current = new Set<number>();
  follow(nodes, current, { from: first, atStart: true });
  for (const character of text) {
    if (current.size === 0) return false;
    const following = new Set<number>();
    for (const index of current) {
      const node = nodes[index];
      if (node?.kind === "one" && node.test(character)) follow(nodes, following, { from: node.next, atStart: false });
    }
    current = following;
  }
  return current.has(0);
}

/** Adds `from` and all that can be reached from it without a character. */
function follow(
  nodes: readonly Node[],
  into: Set<number>,
  options: { readonly from: number; readonly atStart: boolean },
): void {
  const open = [options.from];
  for (let index = open.pop(); index !== undefined; index = open.pop()) {
    if (into.has(index)) continue;
    into.add(index);
    const node = nodes[index];
    if (node?.kind === "split") open.push(node.other, node.next);
    else if (node?.kind === "start" && options.atStart) open.push(node.next);
  }
}
