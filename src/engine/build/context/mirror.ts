/** A copy of a client's folder that follows it: what has changed since the last build is copied, the rest stays. Builds read the
 *  copy, so that what is hashed is what is copied into the image, whatever happens to the folder meanwhile. Everything belongs to
 *  root, as Docker has it; times are whole seconds, as in a tar. */
import { createHash } from "node:crypto";
import {
  closeSync,
  constants,
  fchmodSync,
  linkSync,
  mkdirSync,
  openSync,
  readdirSync,
  readlinkSync,
  readSync,
  rmdirSync,
  symlinkSync,
  writeSync,
} from "node:fs";
import { TscomposeError, errnoOf } from "../../../errors.ts";
import { fchmodat, mknodat, O_DIRECTORY, O_NOFOLLOW, utimensat } from "../../../host/libc.ts";
import { statxAt, statxOf, typeOf, type FileStat } from "../../../host/statx.ts";
import { removeTree } from "../../images/layers/remove-tree.ts";
import { joinTree, shown } from "../files/tree.ts";
import type { Tree } from "../files/tree.ts";
import type { MatchState, PatternMatcher } from "../ignore/pattern-matcher.ts";
import { plainFile } from "./mirror-index.ts";
import type { Copied, MirrorIndex } from "./mirror-index.ts";

export interface MirrorResult {
  readonly index: MirrorIndex;
  /** False: the copy was as it should be. */
  readonly changed: boolean;
  /** Of regular files; undefined: not counted. */
  readonly bytes: number | undefined;
}

const chunkBytes = 1 << 18;
const entriesBetweenPauses = 2048;
/** A file that was written so short a time before it was read may be written again without a new time. */
const racyMs = 100;

export class Mirror {
  readonly #source: number;
  readonly #target: Tree;
  readonly #matcher: PatternMatcher | undefined;
  readonly #before: MirrorIndex;
  readonly #files = new Map<string, Copied>();
  /** Device and inode of files with several names -> the first of them here. */
  readonly #links = new Map<string, string>();
  readonly #buffer = Buffer.allocUnsafe(chunkBytes);
  /** Called before the first change. */
  readonly #onChange: () => void;
  #changed = false;
  #entries = 0;
  #bytes = 0;

  constructor(
    options: { readonly source: number; readonly target: Tree; readonly matcher: PatternMatcher | undefined },
    before: MirrorIndex,
    onChange: () => void,
  ) {
    this.#source = options.source;
    this.#target = options.target;
    this.#matcher = options.matcher;
    this.#before = before;
    this.#onChange = onChange;
  }

  /** @throws what `onChange` throws; build/invalid for a file that does not hold still */
  async follow(): Promise<MirrorResult> {
    await this.#directory(this.#source, "", undefined);
    const { id, state } = this.#before;
    return {
      index: { id, state: this.#changed ? state + 1 : state, files: this.#files },
      changed: this.#changed,
      bytes: this.#bytes,
    };
  }

  #willChange(): void {
    if (this.#changed) return;
    this.#onChange();
    this.#changed = true;
  }

  /** @returns true where something in it is kept */
  async #directory(fd: number, path: string, state: MatchState | undefined): Promise<boolean> {
    const below = `/proc/self/fd/${fd}/`;
    const names = readdirSync(below, { encoding: "latin1" });
    const wanted = new Set<string>();
    const present = this.#target.list(path);
    for (const name of names) {
      const stat = statxAt(fd, Buffer.from(`${name}\0`, "latin1"));
      if (stat === undefined) continue;
      const full = below + name;
      const child = joinTree(path, name);
      const match = this.#matcher?.matchesBelow(shown(child), state);
      const ignored = match?.matched === true;
      if (typeOf(stat) === constants.S_IFDIR) {
        if (ignored && this.#matcher?.hasExclusions !== true) continue;
        if (await this.#subdirectory(full, child, { stat, ignored, state: match?.state })) wanted.add(name);
      } else if (!ignored && this.#entry(full, child, stat)) wanted.add(name);
      await this.#breathe();
    }
    for (const name of present) if (!wanted.has(name)) this.#remove(joinTree(path, name));
    return wanted.size > 0;
  }

  async #breathe(): Promise<void> {
    this.#entries += 1;
    if (this.#entries % entriesBetweenPauses === 0) await new Promise((resolve) => setImmediate(resolve));
  }

  async #subdirectory(
    full: string,
    path: string,
    {
      stat,
      ignored,
      state,
    }: { readonly stat: FileStat; readonly ignored: boolean; readonly state: MatchState | undefined },
  ): Promise<boolean> {
    const fd = openIn(full, O_DIRECTORY);
    if (fd === undefined) return false;
    try {
      const made = this.#makeDirectory(path, ignored);
      const filled = await this.#directory(fd, path, state);
      if (ignored && !filled) {
        if (made) rmdirSync(this.#target.path(path));
        return false;
      }
      this.#describe(path, stat);
      return true;
    } finally {
      closeSync(fd);
    }
  }

  /** One that is ignored is only a change when something in it is kept. @returns true where it was not there */
  #makeDirectory(path: string, ignored: boolean): boolean {
    const existing = this.#target.stat(path);
    if (existing?.isDirectory() === true) return false;
    if (!ignored) this.#willChange();
    if (existing !== undefined) this.#remove(path);
    mkdirSync(this.#target.path(path), 0o755);
    return true;
  }

  #describe(path: string, stat: FileStat): void {
    const existing = this.#target.stat(path);
    if (existing === undefined) return;
    const seconds = BigInt(stat.seconds);
    const mode = stat.mode & 0o7777;
    const same = (Number(existing.mode) & 0o7777) === mode;
    if (!same) {
      this.#willChange();
      fchmodat(this.#target.fd, Buffer.from(path, "latin1"), mode);
    }
    if (existing.mtimeNs === seconds * 1_000_000_000n) return;
    utimensat(this.#target.fd, Buffer.from(path, "latin1"), { sec: seconds, nsec: 0 });
  }

  /** @returns false for what is no part of a context: sockets, devices */
  #entry(full: string, path: string, stat: FileStat): boolean {
    const type = typeOf(stat);
    if (type === constants.S_IFLNK) return this.#link(full, path, stat);
    if (type === constants.S_IFIFO) return this.#fifo(path, stat);
    if (type !== constants.S_IFREG) return false;
    const inode = stat.nlink > 1 ? stat.identity() : "";
    const first = stat.nlink > 1 ? this.#links.get(inode) : undefined;
    const known = this.#before.files.get(path);
    if (known !== undefined && known.stamp === stat.stamp()) this.#files.set(path, known);
    else if (first !== undefined) return this.#hardLink(first, path);
    else if (!this.#file(full, path)) return false;
    if (stat.nlink > 1 && first === undefined) this.#links.set(inode, path);
    if (first === undefined) this.#bytes += stat.size;
    return true;
  }

  /** Another name of a file that is there already. */
  #hardLink(first: string, path: string): boolean {
    const found = this.#files.get(first);
    if (found === undefined) return false;
    const known = { ...found, plain: undefined };
    this.#willChange();
    if (this.#target.stat(path) !== undefined) this.#remove(path);
    linkSync(this.#target.path(first), this.#target.path(path));
    for (const name of [first, path]) this.#files.set(name, known);
    return true;
  }

  #link(full: string, path: string, stat: FileStat): boolean {
    const link = readlinkSync(Buffer.from(full, "latin1"), { encoding: "latin1" });
    const existing = this.#target.stat(path);
    if (existing?.isSymbolicLink() === true && this.#target.link(path) === link) return true;
    this.#willChange();
    if (existing !== undefined) this.#remove(path);
    symlinkSync(Buffer.from(link, "latin1"), this.#target.path(path));
    utimensat(this.#target.fd, Buffer.from(path, "latin1"), { sec: BigInt(stat.seconds), nsec: 0 });
    return true;
  }

  #fifo(path: string, stat: FileStat): boolean {
    if (this.#target.stat(path)?.isFIFO() !== true) {
      this.#willChange();
      if (this.#target.stat(path) !== undefined) this.#remove(path);
      mknodat(this.#target.fd, Buffer.from(path, "latin1"), constants.S_IFIFO | 0o600, 0n);
    }
    this.#describe(path, stat);
    return true;
  }

  #file(full: string, path: string): boolean {
    this.#willChange();
    for (let attempt = 0; attempt < 3; attempt += 1) {
      const fd = openIn(full, 0);
      if (fd === undefined) return false;
      try {
        const before = statxOf(fd);
        if (typeOf(before) !== constants.S_IFREG) return false;
        const digest = this.#copy(fd, path, before);
        const after = statxOf(fd);
        if (after.stamp() !== before.stamp()) continue;
        const racy = after.changedMs > Date.now() - racyMs;
        const plain = { digest, mode: after.mode, seconds: after.seconds };
        const stamp = racy ? "" : after.stamp();
        this.#files.set(path, { stamp, digest, plain: plainFile(this.#before, path, plain) });
        return true;
      } finally {
        closeSync(fd);
      }
    }
    throw new TscomposeError("build/invalid", `${shown(path)} of the build context changes while it is read`, {
      hint: "stop what writes to it, or name it in .dockerignore",
    });
  }

  #copy(fd: number, path: string, stat: FileStat): string {
    if (this.#target.stat(path) !== undefined) this.#remove(path);
    const hash = createHash("sha256");
    const out = openSync(this.#target.path(path), "wx", 0o600);
    try {
      for (let count = readSync(fd, this.#buffer); count > 0; count = readSync(fd, this.#buffer)) {
        const piece = this.#buffer.subarray(0, count);
        hash.update(piece);
        for (let done = 0; done < count;) done += writeSync(out, piece, done);
      }
      fchmodSync(out, stat.mode & 0o7777);
    } finally {
      closeSync(out);
    }
    utimensat(this.#target.fd, Buffer.from(path, "latin1"), { sec: BigInt(stat.seconds), nsec: 0 });
    return hash.digest("hex");
  }

  #remove(path: string): void {
    this.#willChange();
    removeTree(this.#target.fd, Buffer.from(path, "latin1"));
  }
}

/** Undefined: it has gone, or has become something else meanwhile. */
function openIn(path: string, flags: number): number | undefined {
  try {
    return openSync(Buffer.from(path, "latin1"), constants.O_RDONLY | constants.O_NONBLOCK | O_NOFOLLOW | flags);
  } catch (error) {
    if (["ENOENT", "ELOOP", "ENOTDIR"].includes(errnoOf(error) ?? "")) return undefined;
    throw error;
  }
}
