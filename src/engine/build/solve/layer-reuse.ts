/** Unchanged files of a COPY as hard links to those that the same COPY made in an earlier build. The layer is the same, byte for
 *  byte, as without: a link is made only of a file that has been in the context as it is since that build, only from a copy with the same
 *  owner, mode, patterns and times, and only at the path where the earlier layer has it. So no two files that a container sees
 *  together are ever one: of those with the same path only the highest is seen. Nothing writes to the files of a layer. */
import { closeSync, constants, openSync } from "node:fs";
import * as libc from "../../../host/libc.ts";
import { copyFile } from "../files/copy-tree.ts";
import type { CopyOptions, ReusedFiles } from "../files/copy-tree.ts";
import type { EarlierLayers, KnownFiles } from "../files/known-files.ts";
import { nameOf, parentOf, Tree } from "../files/tree.ts";

/** Links between two pauses for everything else the engine does. */
const linksBetweenPauses = 1024;

export interface ReuseParts {
  readonly source: Tree;
  readonly known: KnownFiles;
  readonly earlier: EarlierLayers;
  /** SOURCE_DATE_EPOCH: of newer files the earlier layer does not have the time that counts when this one is compared with what is
   *  below it. */
  readonly epochSeconds: number | undefined;
  /** Directory of a layer that is in the store. */
  readonly layerDirectory: (diffId: string) => string | undefined;
}

interface Planned {
  readonly from: string;
  readonly to: string;
}

export class LayerReuse implements ReusedFiles {
  readonly #parts: ReuseParts;
  #copy: { readonly key: string; readonly options: CopyOptions } | undefined;
  #base: { readonly state: number; readonly directory: string } | undefined;
  /** By directory of the layer. */
  readonly #planned = new Map<string, Planned[]>();

  constructor(parts: ReuseParts) {
    this.#parts = parts;
  }

  begin(from: string, to: string, options: CopyOptions): void {
    const { owner, mode, include, exclude } = options;
    const key = JSON.stringify([from, to, owner, mode, include, exclude, this.#parts.epochSeconds]);
    this.#copy = { key, options };
    const found = this.#parts.earlier.find(key);
    const directory = found === undefined ? undefined : this.#parts.layerDirectory(found.diffId);
    if (found !== undefined && directory !== undefined) this.#base = { state: found.state, directory };
  }

  has(from: string): boolean {
    if (this.#base === undefined) return false;
    const plain = this.#parts.known.get(from)?.plain;
    if (plain === undefined || plain.since > this.#base.state) return false;
    return this.#parts.epochSeconds === undefined || plain.seconds <= this.#parts.epochSeconds;
  }

  plan(from: string, to: string): void {
    const directory = parentOf(to);
    const planned = this.#planned.get(directory);
    if (planned === undefined) this.#planned.set(directory, [{ from, to }]);
    else planned.push({ from, to });
  }

  /** Puts what was planned into the layer, which nothing is mounted over any more. What the earlier layer does not have, as something
   *  below it had it already, is copied. @throws host/syscall-failed, build/failed */
  async link(upper: string): Promise<void> {
    if (this.#base === undefined || this.#planned.size === 0) return;
    const target = new Tree(upper);
    const base = openSync(this.#base.directory, constants.O_RDONLY | libc.O_DIRECTORY);
    try {
      let count = 0;
      for (const [directory, planned] of this.#planned) {
        await this.#linkInto(target, { base, directory, planned });
        count += planned.length;
        if (count < linksBetweenPauses) continue;
        count = 0;
        await new Promise((resolve) => setImmediate(resolve));
      }
    } finally {
      closeSync(base);
      target.close();
    }
  }

  /** To be called with the layer that the copy gave. */
  note(diffId: string): void {
    if (this.#copy !== undefined) this.#parts.earlier.note(this.#copy.key, diffId);
  }

  async #linkInto(
    target: Tree,
    at: { readonly base: number; readonly directory: string; readonly planned: readonly Planned[] },
  ): Promise<void> {
    const { base, directory, planned } = at;
    const stat = target.stat(directory);
    const to = openBelow(target.fd, directory);
    if (to === undefined || stat === undefined)
      throw new Error(`no directory ${JSON.stringify(directory)} in the layer`);
    const from = openBelow(base, directory);
    try {
      const missing = planned.filter((file) => from === undefined || !linkFile(from, to, nameOf(file.to)));
      for (const file of missing) await this.#copyInstead(target, file);
      const { mtimeNs } = stat;
      libc.futimens(to, { sec: mtimeNs / 1_000_000_000n, nsec: Number(mtimeNs % 1_000_000_000n) });
    } finally {
      closeSync(to);
      if (from !== undefined) closeSync(from);
    }
  }

  async #copyInstead(target: Tree, { from, to }: Planned): Promise<void> {
    if (this.#copy === undefined) return;
    await copyFile({ source: this.#parts.source, target }, { from, to }, this.#copy.options);
  }
}

/** Undefined: there is no such directory. */
function openBelow(root: number, path: string): number | undefined {
  const resolve = libc.RESOLVE_BENEATH | libc.RESOLVE_NO_SYMLINKS | libc.RESOLVE_NO_MAGICLINKS;
  const flags = constants.O_RDONLY | libc.O_DIRECTORY;
  try {
    return libc.openat2(root, Buffer.from(path === "" ? "." : path, "latin1"), { flags, resolve });
  } catch (error) {
    if (["ENOENT", "ENOTDIR", "ELOOP"].includes(libc.syscallErrno(error) ?? "")) return undefined;
    throw error;
  }
}

/** Not there, no file, or with as many names as its file system takes. */
const notLinkable = ["ENOENT", "EPERM", "EMLINK", "EXDEV"];

/** A whiteout that the copy left for something it replaced gives way. */
function linkFile(from: number, to: number, name: string): boolean {
  const path = Buffer.from(name, "latin1");
  for (;;) {
    try {
      libc.linkat({ dirFd: from, path }, { dirFd: to, path }, 0);
      return true;
    } catch (error) {
      const errno = libc.syscallErrno(error) ?? "";
      if (notLinkable.includes(errno)) return false;
      if (errno !== "EEXIST") throw error;
      libc.unlinkat(to, path);
    }
  }
}
