/** Directories that a destination lacks, each with the owner and mode asked for. */
import { mkdirSync } from "node:fs";
import { TscomposeError } from "../../../errors.ts";
import * as libc from "../../../host/libc.ts";
import type { Tree } from "./tree.ts";
import { joinTree, shown } from "./tree.ts";

export interface Owner {
  readonly uid: number;
  readonly gid: number;
}

export interface FileTime {
  readonly sec: bigint;
  readonly nsec: number;
}

export interface NewDirectories {
  readonly mode: number;
  /** Undefined: root's. */
  readonly owner: Owner | undefined;
  readonly time: FileTime | undefined;
}

/** `relative` is resolved (see `Tree.resolve`). @returns what was made, from the top
 *  @throws build/failed where something else is in the way */
export function makeDirectories(tree: Tree, relative: string, options: NewDirectories): readonly string[] {
  const made: string[] = [];
  let at = "";
  for (const part of relative.split("/").filter((name) => name !== "")) {
    at = joinTree(at, part);
    const existing = tree.stat(at);
    if (existing?.isDirectory() === true) continue;
    if (existing !== undefined) throw new TscomposeError("build/failed", `mkdir /${shown(at)}: not a directory`);
    mkdirSync(tree.path(at), options.mode & 0o777);
    libc.fchmodat(tree.fd, Buffer.from(at, "latin1"), options.mode & 0o7777);
    if (options.owner !== undefined) libc.fchownat(tree.fd, Buffer.from(at, "latin1"), options.owner);
    made.push(at);
  }
  setTimes(tree, made, options.time);
  return made;
}

/** From the bottom: making an entry changes the time of what it is in. */
export function setTimes(tree: Tree, relatives: readonly string[], time: FileTime | undefined): void {
  if (time === undefined) return;
  for (const relative of relatives.toReversed()) libc.utimensat(tree.fd, Buffer.from(relative, "latin1"), time);
}
