/** Mirrors of the folders that clients on this machine build from: `<data root>/build/contexts/<key>/` with `files` and `index.json`.
 *  A key stands for a folder and its ignore patterns. */
import { createHash } from "node:crypto";
import {
  closeSync,
  constants,
  fstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  rmSync,
  statSync,
  utimesSync,
} from "node:fs";
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { TscomposeError } from "../../../errors.ts";
import { O_DIRECTORY } from "../../../host/libc.ts";
import { bootId } from "../../../host/process-identity.ts";
import { directorySize } from "../../volumes/directory-size.ts";
import type { ContextFiles } from "../files/receive-context.ts";
import { Tree } from "../files/tree.ts";
import { createPatternMatcher } from "../ignore/pattern-matcher.ts";
import { removeDirectories } from "../files/remove-directories.ts";
import type { KeptDirectory } from "../solve/build-cache.ts";
import type { LocalFolder } from "../types.ts";
import { earlierLayers, fileBytes, newMirror, readIndex, writeIndex } from "./mirror-index.ts";
import type { MirrorIndex } from "./mirror-index.ts";
import { Mirror } from "./mirror.ts";
import type { MirrorResult } from "./mirror.ts";

export interface LeasedFolder {
  readonly files: ContextFiles;
  release(): void;
}

/** One that no build has used for so long is removed when an engine starts. */
const keptMs = 7 * 24 * 3600 * 1000;

/** The folder, when it is the one that the client means.
 *  @throws build/invalid for one that is not there, engine/elsewhere where the client sees another machine */
export function openFolder(folder: LocalFolder): number {
  if (folder.bootId !== bootId()) throw elsewhere(folder);
  let fd: number;
  try {
    fd = openSync(folder.path, constants.O_RDONLY | O_DIRECTORY);
  } catch (error) {
    throw elsewhere(folder, error);
  }
  const { dev, ino } = fstatSync(fd, { bigint: true });
  if (String(dev) === folder.dev && String(ino) === folder.ino) return fd;
  closeSync(fd);
  throw elsewhere(folder);
}

/** The client then sends an archive. */
function elsewhere({ path }: LocalFolder, cause?: unknown): TscomposeError {
  return new TscomposeError("request/conflict", `the engine does not see the folder ${path} of the client`, {
    details: { contextElsewhere: true },
    ...(cause === undefined ? {} : { cause }),
  });
}

/** A copy of a folder, and what it held when it was last brought up to date. */
export interface FolderCopy {
  readonly target: string;
  readonly before: MirrorIndex;
}

export interface Followed {
  /** JSON: what the mirror is of. */
  readonly identity: unknown;
  /** Brings the copy up to date. `onChange` is to be called before the first change, and what it throws passed on. */
  readonly follow: (copy: FolderCopy, onChange: () => void) => Promise<MirrorResult>;
  readonly spare: () => string;
}

export class FolderMirrors {
  readonly #dir: string;
  readonly #users = new Map<string, number>();
  /** How much those take that have been used or measured. */
  readonly #bytes = new Map<string, number>();
  /** Mirrors that are being brought up to date, one at a time each. */
  readonly #turns = new Map<string, Promise<unknown>>();

  constructor(dir: string) {
    this.#dir = dir;
    mkdirSync(dir, { recursive: true, mode: 0o700 });
    for (const name of readdirSync(dir)) {
      const used = statSync(join(dir, name, "index.json"), { throwIfNoEntry: false })?.mtimeMs ?? 0;
      if (used < Date.now() - keptMs) rmSync(join(dir, name), { recursive: true, force: true });
    }
  }

  /** The files as they are now. `spare`: a new directory, for a copy of their own while another build uses an older state. */
  async lease(folder: LocalFolder, patterns: readonly string[], spare: () => string): Promise<LeasedFolder> {
    return await this.leaseOf({
      identity: [folder.path, folder.dev, folder.ino, patterns],
      follow: (copy, onChange) => follow({ folder, patterns }, copy, onChange),
      spare,
    });
  }

  /** A mirror of whatever `followed` brings up to date. */
  async leaseOf(followed: Followed): Promise<LeasedFolder> {
    const key = createHash("sha256").update(JSON.stringify(followed.identity)).digest("hex");
    const before = this.#turns.get(key) ?? Promise.resolve();
    const turn = before.then(() => this.#update(key, followed));
    const settled = turn.catch(() => undefined);
    this.#turns.set(key, settled);
    try {
      return await turn;
    } finally {
      if (this.#turns.get(key) === settled) this.#turns.delete(key);
    }
  }

  async #update(key: string, followed: Followed): Promise<LeasedFolder> {
    const path = join(this.#dir, key, "index.json");
    const files = join(this.#dir, key, "files");
    const known = readIndex(path);
    // Without an index nothing is known about the files: a change was cut short.
    if (known === undefined) await rm(files, { recursive: true, force: true });
    mkdirSync(files, { recursive: true, mode: 0o755 });
    const inUse = (this.#users.get(key) ?? 0) > 0;
    try {
      const { index, changed, bytes } = await followed.follow({ target: files, before: known ?? newMirror() }, () => {
        if (inUse) throw new InUse();
        rmSync(path, { force: true });
      });
      if (changed || known === undefined) writeIndex(path, index);
      else utimesSync(path, new Date(), new Date());
      const notes = join(this.#dir, key, "layers.json");
      if (bytes === undefined) this.#bytes.delete(key);
      else this.#bytes.set(key, bytes + fileBytes(path) + fileBytes(notes));
      return this.#leased(key, { directory: files, known: index.files, earlier: earlierLayers(notes, index) });
    } catch (error) {
      if (!(error instanceof InUse)) throw error;
      const directory = followed.spare();
      const { index } = await followed.follow({ target: directory, before: newMirror() }, () => undefined);
      return { files: { directory, known: index.files }, release: () => undefined };
    }
  }

  #leased(key: string, files: ContextFiles): LeasedFolder {
    this.#users.set(key, (this.#users.get(key) ?? 0) + 1);
    let held = true;
    return {
      files,
      release: () => {
        if (held) this.#users.set(key, Math.max((this.#users.get(key) ?? 1) - 1, 0));
        held = false;
      },
    };
  }

  async list(): Promise<readonly KeptDirectory[]> {
    const found: KeptDirectory[] = [];
    for (const name of readdirSync(this.#dir)) {
      const path = join(this.#dir, name);
      const [stat, index] = [path, join(path, "index.json")].map((at) => statSync(at, { throwIfNoEntry: false }));
      if (stat === undefined) continue;
      const usedMs = index?.mtimeMs ?? stat.mtimeMs;
      const inUse = this.#inUse(name);
      const sizeBytes = this.#bytes.get(name) ?? (await directorySize(path));
      this.#bytes.set(name, sizeBytes);
      found.push({ name, sizeBytes, createdMs: stat.birthtimeMs, usedMs, inUse });
    }
    return found;
  }

  #inUse(name: string): boolean {
    return (this.#users.get(name) ?? 0) > 0 || this.#turns.has(name);
  }

  /** Removes those that no build uses. */
  async remove(names: ReadonlySet<string>): Promise<{ readonly deleted: readonly string[]; readonly bytes: number }> {
    for (const name of names) this.#bytes.delete(name);
    return await removeDirectories(this.#dir, names, (name) => this.#inUse(name));
  }
}

/** Another build reads the files that would have to change. */
class InUse extends Error {}

async function follow(
  { folder, patterns }: { readonly folder: LocalFolder; readonly patterns: readonly string[] },
  copy: FolderCopy,
  onChange: () => void,
): Promise<MirrorResult> {
  const source = openFolder(folder);
  const target = new Tree(copy.target);
  try {
    const matcher = patterns.length === 0 ? undefined : createPatternMatcher(patterns);
    return await new Mirror({ source, target, matcher }, copy.before, onChange).follow();
  } finally {
    target.close();
    closeSync(source);
  }
}
