/** Files of this machine as a tar, and the other way round. Archives of containers are hostile: they are unpacked by descriptors,
 *  within an open folder that nothing in them leads out of. */
import { closeSync, openSync } from "node:fs";
import { lstat, mkdtemp, realpath, rename, rm, stat } from "node:fs/promises";
import { basename, dirname, join, resolve } from "node:path";

import { openPlace } from "../engine/archive/in-root.ts";
import { packTree } from "../engine/archive/pack-tree.ts";
import { unpackTree } from "../engine/archive/unpack-tree.ts";
import { errnoOf, TscomposeError } from "../errors.ts";

export interface LocalSource {
  readonly kind: "file" | "directory";
  readonly name: string;
  /** Undefined name: the content of the folder alone. */
  makeTar(name: string | undefined): AsyncIterable<Buffer>;
}

/** @throws request/not-found */
export async function localSource(path: string, { follow }: { readonly follow: boolean }): Promise<LocalSource> {
  // `dir/.` is the content of dir; `dir/` is dir itself, behind a link too.
  const content = path === "." || path.endsWith("/.");
  const full = await existing(path, follow || content || path.endsWith("/"));
  const kind = (await lstat(full)).isDirectory() ? "directory" : "file";
  return {
    kind,
    name: content ? "." : basename(full),
    makeTar: (name) => pack(full, content ? "" : (name ?? basename(full))),
  };
}

async function existing(path: string, follow: boolean): Promise<string> {
  try {
    const full = resolve(path);
    if (follow) return await realpath(full);
    await lstat(full);
    return full;
  } catch (error) {
    if (errnoOf(error) !== "ENOENT") throw error;
    throw new TscomposeError("request/not-found", `no such file or folder: ${path}`, { cause: error });
  }
}

async function* pack(full: string, name: string): AsyncGenerator<Buffer, void, undefined> {
  const root = openSync("/", "r");
  try {
    const place = openPlace(root, name === "" ? `${full}/.` : full);
    yield* packTree(place, { name, path: full, mounts: new Set() });
  } finally {
    closeSync(root);
  }
}

/** Unpacks to `path`: into it where it is a folder, else under its name. `keepOwner`: users of the archive, not ours.
 *  @throws request/not-found where the folder is missing; request/invalid for a folder over a file. */
export async function unpackTo(
  path: string,
  tar: AsyncIterable<Buffer>,
  { name, directory, keepOwner }: { readonly name: string; readonly directory: boolean; readonly keepOwner: boolean },
): Promise<void> {
  const owner = keepOwner ? undefined : { uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0 };
  const full = resolve(path);
  const found = await stat(full).catch(() => undefined);
  if (found?.isDirectory() === true || name === ".") {
    await unpackIn(full, tar, owner);
    return;
  }
  if (directory && found !== undefined)
    throw new TscomposeError("request/invalid", `cannot copy a folder over the file ${path}`);
  if (!directory && path.endsWith("/")) throw new TscomposeError("request/not-found", `no such folder: ${path}`);
  let beside: string;
  try {
    beside = await mkdtemp(join(dirname(full), ".tscompose-cp-"));
  } catch (error) {
    throw new TscomposeError(
      "request/not-found",
      `cannot write to ${dirname(full)}: ${errnoOf(error) ?? "unknown error"}`,
      { cause: error },
    );
  }
  try {
    await unpackIn(beside, tar, owner);
    await rename(join(beside, name), full);
  } finally {
    await rm(beside, { recursive: true, force: true });
  }
}

async function unpackIn(
  folder: string,
  tar: AsyncIterable<Buffer>,
  owner: { readonly uid: number; readonly gid: number } | undefined,
): Promise<void> {
  const root = openSync(folder, "r");
  try {
    await unpackTree(root, tar, { path: "/", noOverwriteDirNonDir: true, owner });
  } finally {
    closeSync(root);
  }
}
