/** A build context as a tar: what `.dockerignore` leaves out is not sent. Entries are in order and belong to root. */
import { createHash } from "node:crypto";
import { existsSync, lstatSync, readFileSync, readlinkSync, statSync, type Stats } from "node:fs";
import { open, readdir } from "node:fs/promises";
import { basename, isAbsolute, join, relative, resolve } from "node:path";
import type { PackedContext, PackRequest } from "../compose/context.ts";
import { TscomposeError } from "../errors.ts";
import { parseDockerfile } from "../engine/build/dockerfile/parse-dockerfile.ts";
import { ignoreFileNames, readIgnoreFile } from "../engine/build/ignore/ignore-file.ts";
import { createPatternMatcher } from "../engine/build/ignore/pattern-matcher.ts";
import type { MatchState, PatternMatcher } from "../engine/build/ignore/pattern-matcher.ts";
import { emptyXattrs } from "../engine/images/tar/entry.ts";
import type { TarEntry } from "../engine/images/tar/entry.ts";
import { encodeHeader, endOfArchive, padding } from "../engine/images/tar/writer.ts";
import { localFolder } from "./local-folder.ts";

const chunkBytes = 1 << 18;
/** Of a Dockerfile that goes with the request, which has bounds. */
const maxSentText = 256 * 1024;
const noBytes = Buffer.alloc(0);

function entryOf(path: string, stat: ReturnType<typeof lstatSync>, type: TarEntry["type"]): TarEntry {
  if (stat === undefined) throw new Error(`no entry ${path}`);
  return {
    type,
    name: Buffer.from(type === "dir" ? `${path}/` : path),
    linkName: noBytes,
    mode: Number(stat.mode) & 0o7777,
    uid: 0,
    gid: 0,
    size: type === "file" ? Number(stat.size) : 0,
    mtime: { sec: Math.floor(Number(stat.mtimeMs) / 1000), nsec: 0 },
    device: { major: 0, minor: 0 },
    xattrs: emptyXattrs,
  };
}

async function* packFile(path: string, name: string): AsyncGenerator<Buffer, void, void> {
  const file = await open(path, "r");
  try {
    const stat = await file.stat();
    yield encodeHeader(entryOf(name, stat, "file"));
    let left = stat.size;
    while (left > 0) {
      const buffer = Buffer.allocUnsafe(Math.min(left, chunkBytes));
      const { bytesRead } = await file.read(buffer, 0, buffer.length, null);
      if (bytesRead === 0) throw new TscomposeError("build/invalid", `${path} became shorter while it was sent`);
      left -= bytesRead;
      yield buffer.subarray(0, bytesRead);
    }
    yield padding(stat.size);
  } finally {
    await file.close();
  }
}

interface Walk {
  readonly root: string;
  readonly matcher: PatternMatcher | undefined;
  /** Sent whatever the patterns say: the engine reads them. */
  readonly always: ReadonlySet<string>;
  /** Device and inode of files with several names -> the first of them. */
  readonly links: Map<string, string>;
}

async function* packBelow(walk: Walk, path: string, state: MatchState | undefined): AsyncGenerator<Buffer, void, void> {
  const names = await readdir(join(walk.root, path));
  for (const name of names.toSorted()) {
    const at = path === "" ? name : `${path}/${name}`;
    const full = join(walk.root, at);
    const stat = lstatSync(full, { throwIfNoEntry: false });
    if (stat === undefined) continue;
    const match = walk.matcher?.matchesBelow(at, state);
    const ignored = match?.matched === true && !walk.always.has(at);
    if (stat.isDirectory()) {
      const enters = !ignored || walk.matcher?.hasExclusions === true || hasBelow(walk.always, at);
      if (!ignored) yield encodeHeader(entryOf(at, stat, "dir"));
      if (enters) yield* packBelow(walk, at, match?.state);
    } else if (ignored) continue;
    else if (stat.isSymbolicLink()) {
      const linkName = readlinkSync(full, { encoding: "buffer" });
      yield encodeHeader({ ...entryOf(at, stat, "symlink"), linkName });
    } else if (stat.isFIFO()) yield encodeHeader(entryOf(at, stat, "fifo"));
    else if (stat.isFile()) yield* packFileOrLink(walk, at, { full, stat });
  }
}

/** A file under its first name, a hard link to that under another one. */
async function* packFileOrLink(
  walk: Walk,
  name: string,
  { full, stat }: { readonly full: string; readonly stat: Stats },
): AsyncGenerator<Buffer, void, void> {
  const inode = `${stat.dev}:${stat.ino}`;
  const first = stat.nlink > 1 ? walk.links.get(inode) : undefined;
  if (first !== undefined) {
    yield encodeHeader({ ...entryOf(name, stat, "hardlink"), linkName: Buffer.from(first) });
    return;
  }
  if (stat.nlink > 1) walk.links.set(inode, name);
  yield* packFile(full, name);
}

function hasBelow(paths: ReadonlySet<string>, directory: string): boolean {
  return [...paths].some((path) => path.startsWith(`${directory}/`));
}

async function* pack(
  walk: Walk,
  extra: { readonly name: string; readonly text: string } | undefined,
): AsyncGenerator<Buffer, void, void> {
  if (extra !== undefined) {
    const bytes = Buffer.from(extra.text);
    const entry = { ...entryOf(extra.name, statSync(walk.root), "file"), mode: 0o600, size: bytes.length };
    yield encodeHeader(entry);
    yield bytes;
    yield padding(bytes.length);
  }
  yield* packBelow(walk, "", undefined);
  yield endOfArchive;
}

function readText(path: string, what: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    throw new TscomposeError("build/invalid", `cannot read ${what} ${path}`, {
      cause: error,
      hint: "check build.context and build.dockerfile",
    });
  }
}

/** Names of the base images: registries whose credentials may be needed. */
function basesOf(text: string): readonly string[] {
  try {
    return parseDockerfile(text).stages.map(({ base }) => base);
  } catch {
    // The engine says what is wrong with it, with its lines.
    return [];
  }
}

const nothing: AsyncIterable<Buffer> = {
  [Symbol.asyncIterator]: () => ({ next: () => Promise.resolve({ done: true as const, value: undefined }) }),
};

/** @throws build/invalid for a context or Dockerfile that is not there */
export async function packContext(request: PackRequest): Promise<PackedContext> {
  const root = resolve(request.directory);
  if (statSync(root, { throwIfNoEntry: false })?.isDirectory() !== true) {
    throw new TscomposeError("build/invalid", `the build context ${root} is not a directory`, {
      hint: "check build.context",
    });
  }
  const path = resolve(root, request.dockerfile);
  const inside = relative(root, path);
  const isInside = !inside.startsWith("..") && !isAbsolute(inside);
  const text = request.dockerfileText ?? readText(path, "the Dockerfile");
  const bases = basesOf(text);
  const [own, general] = ignoreFileNames(path);
  if (request.as === "folder" && text.length <= maxSentText) {
    const isGuest = request.dockerfileText !== undefined || !isInside;
    const beside = !isInside && request.dockerfileText === undefined && existsSync(own);
    return Promise.resolve({
      archive: nothing,
      folder: localFolder(root),
      dockerfile: isInside ? inside : basename(path),
      dockerfileText: isGuest ? text : undefined,
      ignoreText: beside ? readText(own, "the ignore file") : undefined,
      bases,
    });
  }
  const name = `.dockerfile.${createHash("sha256").update(text).digest("hex").slice(0, 20)}`;
  const extra = request.dockerfileText === undefined && isInside ? undefined : { name, text };
  const ignoreFile = [own, join(root, ".dockerignore")].find((candidate) => existsSync(candidate));
  const patterns = ignoreFile === undefined ? [] : readIgnoreFile(readText(ignoreFile, "the ignore file"));
  const always = new Set(
    [inside, relative(root, own), general, ".dockerignore"].filter((item) => isInside || item === ".dockerignore"),
  );
  const walk = {
    root,
    matcher: patterns.length === 0 ? undefined : createPatternMatcher(patterns),
    always,
    links: new Map(),
  };
  return Promise.resolve({
    archive: pack(walk, extra),
    folder: undefined,
    dockerfile: extra?.name ?? inside,
    dockerfileText: undefined,
    ignoreText: undefined,
    bases,
  });
}
