/** A digest of files as a step reads them: names, kinds, modes, owners, links, contents; no times. */
import { createHash, type Hash } from "node:crypto";
import { closeSync, constants, openSync, readSync, type BigIntStats } from "node:fs";
import { createPatternMatcher } from "../ignore/pattern-matcher.ts";
import type { MatchState, PatternMatcher } from "../ignore/pattern-matcher.ts";
import { O_NOFOLLOW } from "../../../host/libc.ts";
import type { KnownFiles } from "./known-files.ts";
import { joinTree, shown } from "./tree.ts";
import type { Tree } from "./tree.ts";

const chunkBytes = 1 << 20;

export function contentDigest(path: Buffer): string {
  const hash = createHash("sha256");
  const fd = openSync(path, constants.O_RDONLY | O_NOFOLLOW);
  try {
    const buffer = Buffer.allocUnsafe(chunkBytes);
    for (let count = readSync(fd, buffer); count > 0; count = readSync(fd, buffer))
      hash.update(buffer.subarray(0, count));
  } finally {
    closeSync(fd);
  }
  return hash.digest("hex");
}

interface Selection {
  readonly include: PatternMatcher | undefined;
  readonly exclude: PatternMatcher | undefined;
}

interface Below {
  readonly path: string;
  readonly included: MatchState | undefined;
  readonly excluded: MatchState | undefined;
}

class TreeDigest {
  readonly #tree: Tree;
  readonly #hash: Hash;
  readonly #known: KnownFiles;
  readonly #selection: Selection;
  readonly #links = new Map<bigint, string>();

  constructor(tree: Tree, hash: Hash, known: KnownFiles, selection: Selection) {
    this.#tree = tree;
    this.#hash = hash;
    this.#known = known;
    this.#selection = selection;
  }

  async add(relative: string, below: Below): Promise<void> {
    const wanted = this.#match(below);
    if (wanted.skip) return;
    const known = this.#known.get(relative);
    if (known?.plain !== undefined) {
      if (wanted.wanted) this.#hash.update(`f ${below.path}\0${known.plain.mode} 0 0 ${known.digest}\n`);
      return;
    }
    const stat = this.#tree.stat(relative);
    if (stat === undefined) return;
    if (!stat.isDirectory()) {
      if (wanted.wanted) this.#hash.update(this.#describe(relative, below.path, stat));
      return;
    }
    // A directory that is passed through on the way to a file counts with its metadata too.
    this.#hash.update(`d ${below.path}\0${stat.mode} ${stat.uid} ${stat.gid} ${wanted.wanted}\n`);
    const names = this.#tree.list(relative);
    if (names.length > 200) await new Promise((resolve) => setImmediate(resolve));
    for (const name of names) {
      await this.add(joinTree(relative, name), {
        path: joinTree(below.path, name),
        included: wanted.included,
        excluded: wanted.excluded,
      });
    }
  }

  #match({ path, included, excluded }: Below): {
    readonly wanted: boolean;
    readonly skip: boolean;
    readonly included: MatchState | undefined;
    readonly excluded: MatchState | undefined;
  } {
    if (path === "") return { wanted: true, skip: false, included, excluded };
    const include = this.#selection.include?.matchesBelow(shown(path), included);
    const exclude = this.#selection.exclude?.matchesBelow(shown(path), excluded);
    const wanted = (include?.matched ?? true) && exclude?.matched !== true;
    const skip = !wanted && this.#selection.include === undefined && this.#selection.exclude?.hasExclusions !== true;
    return { wanted, skip, included: include?.state, excluded: exclude?.state };
  }

  #describe(relative: string, path: string, stat: BigIntStats): string {
    const head = `${path}\0${stat.mode} ${stat.uid} ${stat.gid}`;
    if (stat.isSymbolicLink()) return `l ${head} ${this.#tree.link(relative)}\n`;
    if (!stat.isFile()) return `n ${head} ${stat.rdev}\n`;
    if (stat.nlink > 1n) {
      const first = this.#links.get(stat.ino);
      if (first !== undefined) return `h ${head} ${first}\n`;
      this.#links.set(stat.ino, path);
    }
    return `f ${head} ${this.#known.get(relative)?.digest ?? contentDigest(this.#tree.path(relative))}\n`;
  }
}

/** The digest of what COPY would take from `sources` (as named). The name of each counts, as it may be the name of the copy. */
export async function digestSources(
  tree: Tree,
  sources: readonly string[],
  options: { readonly include: readonly string[]; readonly exclude: readonly string[]; readonly known: KnownFiles },
): Promise<string> {
  const hash = createHash("sha256");
  const selection = {
    include: options.include.length === 0 ? undefined : createPatternMatcher(options.include),
    exclude: options.exclude.length === 0 ? undefined : createPatternMatcher(options.exclude),
  };
  for (const source of sources) {
    const real = tree.resolve(source);
    hash.update(`s ${tree.stat(real)?.isDirectory() === true ? "" : source}\n`);
    const digest = new TreeDigest(tree, hash, options.known, selection);
    await digest.add(real, { path: "", included: undefined, excluded: undefined });
  }
  return hash.digest("hex");
}
