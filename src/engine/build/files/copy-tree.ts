/** COPY: files from one tree to another, with BuildKit's rules for what is made, kept, replaced and followed.
 *  Source: BuildKit's file operation and fsutil's copy. */
import { copyFileSync, linkSync, mkdirSync, symlinkSync, unlinkSync, constants, type BigIntStats } from "node:fs";
import { TscomposeError } from "../../../errors.ts";
import * as libc from "../../../host/libc.ts";
import { createPatternMatcher } from "../ignore/pattern-matcher.ts";
import type { MatchState, PatternMatcher } from "../ignore/pattern-matcher.ts";
import { applyModeChange } from "../plan/mode-set.ts";
import type { ModeChange } from "../plan/mode-set.ts";
import { makeDirectories, setTimes } from "./make-directories.ts";
import type { FileTime, Owner } from "./make-directories.ts";
import { joinTree, nameOf, parentOf, shown, toBytes } from "./tree.ts";
import type { Tree } from "./tree.ts";

export interface CopyOptions {
  /** Undefined: as the source has it, and root for directories that the source does not name. */
  readonly owner: Owner | undefined;
  readonly mode: ModeChange | undefined;
  readonly include: readonly string[];
  readonly exclude: readonly string[];
  /** For all that is made; undefined: the source's times. */
  readonly time: FileTime | undefined;
}

/** Files that need not be copied: they are put into the layer in another way, when all else is there. */
export interface ReusedFiles {
  /** A directory is about to be copied to a place (resolved). */
  begin(from: string, to: string, options: CopyOptions): void;
  has(from: string): boolean;
  /** The directory of `to` is there, and has nothing by its name any more. */
  plan(from: string, to: string): void;
}

interface Place {
  readonly from: string;
  readonly to: string;
  /** Below the source, for patterns; "" is the source itself. */
  readonly below: string;
  /** A directory that exists gets the source's owner, mode and times. */
  readonly overwrite: boolean;
  readonly included: MatchState | undefined;
  readonly excluded: MatchState | undefined;
  /** Its directory was made for this copy: there is nothing in it yet. */
  readonly fresh: boolean;
}

/** Files between two pauses for everything else the engine does. */
const filesBetweenPauses = 256;
const defaultMode = 0o755;

function failure(message: string): TscomposeError {
  return new TscomposeError("build/failed", message);
}

class Copier {
  readonly #source: Tree;
  readonly #target: Tree;
  readonly #options: CopyOptions;
  readonly #reused: ReusedFiles | undefined;
  readonly #include: PatternMatcher | undefined;
  readonly #exclude: PatternMatcher | undefined;
  /** Inode of a source with several names -> what was made of the first. */
  readonly #links = new Map<bigint, string>();
  /** Directories on the way down that are made only when something in them is copied. */
  readonly #pending: { readonly place: Place; readonly stat: BigIntStats; made: boolean }[] = [];
  #files = 0;

  constructor(source: Tree, target: Tree, options: CopyOptions, reused?: ReusedFiles) {
    this.#source = source;
    this.#reused = reused;
    this.#target = target;
    this.#options = options;
    this.#include = options.include.length === 0 ? undefined : createPatternMatcher(options.include);
    this.#exclude = options.exclude.length === 0 ? undefined : createPatternMatcher(options.exclude);
  }

  async copy(place: Place): Promise<void> {
    const patterns = this.#matches(place);
    if (patterns.skip) return;
    if (patterns.wanted && this.#reused?.has(place.from) === true) {
      this.#makePending();
      if (!place.fresh) this.#clear(place.to);
      this.#reused.plan(place.from, place.to);
      return;
    }
    const stat = this.#source.stat(place.from);
    if (stat === undefined) throw failure(`lstat /${shown(place.from)}: no such file or directory`);
    const isDirectory = stat.isDirectory();
    if (!patterns.wanted && !isDirectory) return;
    if (patterns.wanted) this.#makePending();
    if (isDirectory) {
      await this.#directory(place, stat, patterns);
      return;
    }
    if (!place.fresh) this.#clear(place.to);
    if (this.#file(place, stat)) this.#describe(place, stat);
    this.#files += 1;
    if (this.#files % filesBetweenPauses === 0) await new Promise((resolve) => setImmediate(resolve));
  }

  #matches({ below, included, excluded }: Place): {
    readonly wanted: boolean;
    readonly refused: boolean;
    readonly skip: boolean;
    readonly included: MatchState | undefined;
    readonly excluded: MatchState | undefined;
  } {
    if (below === "") return { wanted: true, refused: false, skip: false, included, excluded };
    const text = shown(below);
    const include = this.#include?.matchesBelow(text, included);
    const exclude = this.#exclude?.matchesBelow(text, excluded);
    const refused = exclude?.matched === true;
    const wanted = (include?.matched ?? true) && !refused;
    const skip = !wanted && this.#include === undefined && this.#exclude?.hasExclusions !== true;
    return { wanted, refused, skip, included: include?.state, excluded: exclude?.state };
  }

  #makePending(): void {
    for (const entry of this.#pending) {
      if (entry.made) continue;
      entry.made = true;
      if (this.#makeDirectory(entry.place, entry.stat)) this.#describe(entry.place, entry.stat);
    }
  }

  /** True where it was not there. */
  #makeDirectory({ to, overwrite }: Place, stat: BigIntStats): boolean {
    const existing = this.#target.stat(to);
    if (existing === undefined) {
      mkdirSync(this.#target.path(to), Number(stat.mode) & 0o777);
      return true;
    }
    if (!existing.isDirectory()) throw failure(`cannot copy to non-directory: /${shown(to)}`);
    if (overwrite) libc.fchmodat(this.#target.fd, bytes(to), Number(stat.mode) & 0o7777);
    return false;
  }

  async #directory(
    place: Place,
    stat: BigIntStats,
    patterns: {
      readonly wanted: boolean;
      readonly refused: boolean;
      readonly included: MatchState | undefined;
      readonly excluded: MatchState | undefined;
    },
  ): Promise<void> {
    const existed = !place.fresh && this.#target.stat(place.to) !== undefined;
    const created = patterns.wanted && this.#makeDirectory(place, stat);
    if (!patterns.refused || this.#exclude?.hasExclusions === true) {
      this.#pending.push({ place, stat, made: patterns.wanted });
      for (const name of this.#source.list(place.from)) {
        await this.copy({
          from: joinTree(place.from, name),
          to: joinTree(place.to, name),
          below: joinTree(place.below, name),
          overwrite: true,
          included: patterns.included,
          excluded: patterns.excluded,
          fresh: created,
        });
      }
      this.#pending.pop();
    }
    if (place.overwrite ? patterns.wanted : created) this.#describe(place, stat);
    else if (!place.overwrite && existed) this.#setTime(place.to, stat);
  }

  #clear(to: string): void {
    const existing = this.#target.stat(to);
    if (existing === undefined) return;
    if (existing.isDirectory()) throw failure(`cannot replace to directory /${shown(to)} with file`);
    unlinkSync(this.#target.path(to));
  }

  /** False for a hard link, which has owner, mode and times already. */
  #file({ from, to }: Place, stat: BigIntStats): boolean {
    if (stat.isSymbolicLink()) {
      symlinkSync(Buffer.from(this.#source.link(from), "latin1"), this.#target.path(to));
      return true;
    }
    if (!stat.isFile()) {
      const type = stat.isSocket() ? constants.S_IFREG : Number(stat.mode) & constants.S_IFMT;
      libc.mknodat(this.#target.fd, bytes(to), type | 0o600, stat.rdev);
      return true;
    }
    const first = stat.nlink > 1n ? this.#links.get(stat.ino) : undefined;
    if (first !== undefined) {
      linkSync(this.#target.path(first), this.#target.path(to));
      return true;
    }
    if (stat.nlink > 1n) this.#links.set(stat.ino, to);
    copyFileSync(this.#source.path(from), this.#target.path(to), constants.COPYFILE_FICLONE);
    return true;
  }

  #describe({ from, to }: Place, stat: BigIntStats): void {
    const owner = this.#options.owner ?? { uid: Number(stat.uid), gid: Number(stat.gid) };
    libc.fchownat(this.#target.fd, bytes(to), owner);
    if (!stat.isSymbolicLink()) {
      const kind = stat.isDirectory() ? "directory" : "other";
      const mode = Number(stat.mode) & 0o7777;
      const wanted = this.#options.mode === undefined ? mode : applyModeChange(this.#options.mode, mode, kind);
      libc.fchmodat(this.#target.fd, bytes(to), wanted);
    }
    this.#setTime(to, stat);
    copyXattrs(this.#source.path(from), this.#target.path(to));
  }

  #setTime(to: string, stat: BigIntStats): void {
    const own = { sec: stat.mtimeNs / 1_000_000_000n, nsec: Number(stat.mtimeNs % 1_000_000_000n) };
    libc.utimensat(this.#target.fd, bytes(to === "" ? "." : to), this.#options.time ?? own);
  }
}

function bytes(relative: string): Buffer {
  return Buffer.from(relative === "" ? "." : relative, "latin1");
}

/** What a file system refuses to keep is left out. */
function copyXattrs(from: Buffer, to: Buffer): void {
  for (const name of libc.llistxattr(from)) {
    if (name.startsWith("trusted.overlay.")) continue;
    const value = libc.lgetxattr(from, name);
    if (value === undefined) continue;
    try {
      libc.lsetxattr(to, name, value);
    } catch (error) {
      if (libc.syscallErrno(error) === undefined) throw error;
    }
  }
}

/** The mode of directories that no source gives: without the bits above those of permission, as BuildKit makes them. */
function newDirectoryMode(mode: ModeChange | undefined): number {
  return mode?.kind === "octal" ? mode.mode & 0o777 : defaultMode;
}

/** Copies the entry `source` (a path as named, see `matchingSources`) to `destination` (absolute; "/" or "/." at the end say that
 *  it is a directory). `reused`: where the source is a directory.
 *  @throws build/failed */
export async function copyEntry(
  trees: { readonly source: Tree; readonly target: Tree },
  paths: { readonly source: string; readonly destination: string },
  options: CopyOptions,
  reused?: ReusedFiles,
): Promise<void> {
  const { source, target } = trees;
  const fresh = { mode: newDirectoryMode(options.mode), owner: options.owner, time: options.time };
  const given = toBytes(paths.destination);
  const last = nameOf(given);
  const made = [
    ...makeDirectories(target, target.resolve(last === "" || last === "." ? given : parentOf(given)), fresh),
  ];
  const from = source.resolve(paths.source);
  const stat = source.stat(from);
  if (stat === undefined) throw failure(`"/${shown(paths.source)}": not found`);
  let to = target.resolve(given);
  const existing = target.stat(target.resolve(to));
  if (!stat.isDirectory() && existing?.isDirectory() === true) to = joinTree(to, nameOf(paths.source));
  made.push(...makeDirectories(target, stat.isDirectory() && existing === undefined ? to : parentOf(to), fresh));
  if (stat.isDirectory()) reused?.begin(from, to, options);
  await new Copier(source, target, options, reused).copy({ ...atTop, from, to });
  setTimes(target, made, options.time);
}

const atTop = { below: "", overwrite: false, included: undefined, excluded: undefined, fresh: false };

/** Copies one file to a path whose directory is there, whatever the patterns say.
 *  @throws build/failed */
export async function copyFile(
  trees: { readonly source: Tree; readonly target: Tree },
  paths: { readonly from: string; readonly to: string },
  options: CopyOptions,
): Promise<void> {
  await new Copier(trees.source, trees.target, options).copy({ ...atTop, ...paths });
}
