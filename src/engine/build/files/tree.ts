/** A directory tree by its root descriptor. Paths below it are byte strings (latin1, one character a byte: file names need not be
 *  text), relative, without "." and ".."; "" is the root. Symlinks are resolved here, within the tree, so the kernel is never
 *  given one to follow. Nothing else writes to a tree while it is used. */
import { closeSync, constants, lstatSync, openSync, readdirSync, readlinkSync, type BigIntStats } from "node:fs";
import { TscomposeError } from "../../../errors.ts";
import { O_DIRECTORY } from "../../../host/libc.ts";

/** More symlinks than any real path has. */
const maxLinks = 255;

export class Tree {
  readonly fd: number;

  constructor(directory: string) {
    this.fd = openSync(directory, constants.O_RDONLY | O_DIRECTORY);
  }

  close(): void {
    closeSync(this.fd);
  }

  /** For Node's `fs` and libc. */
  path(relative: string): Buffer {
    return Buffer.from(`/proc/self/fd/${this.fd}/${relative}`, "latin1");
  }

  /** Of the entry itself; undefined where there is none. A file in the place of a directory means that there is nothing below. */
  stat(relative: string): BigIntStats | undefined {
    try {
      // The root by its own name is a symlink in /proc: the dot makes it the directory.
      return lstatSync(this.path(relative === "" ? "." : relative), { bigint: true, throwIfNoEntry: false });
    } catch (error) {
      if (error instanceof Error && "code" in error && error.code === "ENOTDIR") return undefined;
      throw error;
    }
  }

  list(relative: string): readonly string[] {
    return readdirSync(this.path(relative === "" ? "." : relative), { encoding: "latin1" }).toSorted(byBytes);
  }

  link(relative: string): string {
    return readlinkSync(this.path(relative), { encoding: "latin1" });
  }

  /** Where `path` really is: symlinks resolved as if the tree were the whole file system; what does not exist stays as written.
   *  @throws build/failed where symlinks loop */
  resolve(path: string, last: "follow" | "keep" = "follow"): string {
    const open = path.split("/").toReversed();
    const done: string[] = [];
    let links = 0;
    for (let part = open.pop(); part !== undefined; part = open.pop()) {
      if (part === "" || part === ".") continue;
      if (part === "..") {
        done.pop();
        continue;
      }
      done.push(part);
      const isLast = open.every((rest) => rest === "" || rest === ".");
      if (isLast && last === "keep") continue;
      const at = done.join("/");
      if (this.stat(at)?.isSymbolicLink() !== true) continue;
      links += 1;
      if (links > maxLinks) throw new TscomposeError("build/failed", `too many links: ${shown(path)}`);
      const target = this.link(at);
      done.pop();
      if (target.startsWith("/")) done.length = 0;
      open.push(...target.split("/").toReversed());
    }
    return done.join("/");
  }
}

export function byBytes(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

export function joinTree(...parts: readonly string[]): string {
  return parts.filter((part) => part !== "").join("/");
}

/** The directory part; "" for a name in the root. */
export function parentOf(relative: string): string {
  return relative.slice(0, Math.max(relative.lastIndexOf("/"), 0));
}

export function nameOf(relative: string): string {
  return relative.slice(relative.lastIndexOf("/") + 1);
}

export function toBytes(text: string): string {
  return Buffer.from(text, "utf8").toString("latin1");
}

/** For messages, and for patterns, which are text. */
export function shown(bytes: string): string {
  return Buffer.from(bytes, "latin1").toString("utf8");
}
