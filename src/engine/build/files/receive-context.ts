/** A build context that comes as a tar: into a directory, each file's digest taken on the way, what the ignore file names taken
 *  out. The archive is hostile: nothing outside the directory can be reached (see the unpacker). Everything belongs to root, as
 *  Docker has it. */
import { createHash, type Hash } from "node:crypto";
import { closeSync, constants, openSync, rmdirSync } from "node:fs";
import { TscomposeError } from "../../../errors.ts";
import { O_DIRECTORY } from "../../../host/libc.ts";
import { SniffingDecoder } from "../../images/decoder.ts";
import { entryComponents } from "../../images/layers/entry-path.ts";
import { defaultLimits } from "../../images/layers/limits.ts";
import { removeTree } from "../../images/layers/remove-tree.ts";
import { Unpacker } from "../../images/layers/unpacker.ts";
import { emptyXattrs } from "../../images/tar/entry.ts";
import type { TarEntry } from "../../images/tar/entry.ts";
import { TarReader } from "../../images/tar/reader.ts";
import type { TarHandler } from "../../images/tar/reader.ts";
import { createPatternMatcher } from "../ignore/pattern-matcher.ts";
import type { MatchState, PatternMatcher } from "../ignore/pattern-matcher.ts";
import type { EarlierLayers, KnownFile, KnownFiles } from "./known-files.ts";
import { joinTree, shown, Tree } from "./tree.ts";

export interface ContextFiles {
  readonly directory: string;
  readonly known: KnownFiles;
  /** Undefined: what was made of it earlier is not known. */
  readonly earlier?: EarlierLayers;
}

class ContextHandler implements TarHandler {
  readonly #unpacker: Unpacker;
  readonly #known: Map<string, KnownFile>;
  #file: { readonly path: string; readonly hash: Hash } | undefined;

  constructor(unpacker: Unpacker, known: Map<string, KnownFile>) {
    this.#unpacker = unpacker;
    this.#known = known;
  }

  entry(entry: TarEntry): void {
    const { type } = entry;
    if (type === "char" || type === "block") {
      this.#file = undefined;
      return;
    }
    const path = entryComponents(entry.name)
      .map((part) => part.toString("latin1"))
      .join("/");
    this.#file = type === "file" ? { path, hash: createHash("sha256") } : undefined;
    this.#unpacker.entry({ ...entry, uid: 0, gid: 0, xattrs: emptyXattrs });
  }

  data(chunk: Buffer): void {
    this.#file?.hash.update(chunk);
    this.#unpacker.data(chunk);
  }

  end(): void {
    if (this.#file !== undefined)
      this.#known.set(this.#file.path, { digest: this.#file.hash.digest("hex"), plain: undefined });
    this.#file = undefined;
    this.#unpacker.end();
  }
}

/** `directory` is empty. @throws build/invalid for what is no archive, host/no-space */
export async function receiveContext(archive: AsyncIterable<Buffer>, directory: string): Promise<ContextFiles> {
  const known = new Map<string, KnownFile>();
  const rootFd = openSync(directory, constants.O_RDONLY | O_DIRECTORY);
  const unpacker = new Unpacker(rootFd, defaultLimits, "plain");
  const reader = new TarReader(new ContextHandler(unpacker, known));
  const decoder = new SniffingDecoder((chunk) => reader.write(chunk));
  try {
    for await (const chunk of archive) {
      const wait = decoder.write(chunk);
      if (wait !== undefined) await wait;
    }
    await decoder.end();
    reader.finish();
    unpacker.finish();
    return { directory, known };
  } catch (error) {
    if (!(error instanceof TscomposeError) || error.code !== "image/invalid") throw error;
    throw new TscomposeError("build/invalid", `the build context is not a usable archive: ${error.message}`, {
      cause: error,
      hint: "send a tar archive, plain or compressed with gzip, zstd, xz or bzip2",
    });
  } finally {
    decoder.close();
    unpacker.close();
    closeSync(rootFd);
  }
}

/** A context without files. */
export function emptyContext(directory: string): ContextFiles {
  return { directory, known: new Map() };
}

/** Takes out what the patterns match. A directory that matches stays while `!` patterns keep something in it. */
export function dropIgnored(context: ContextFiles, patterns: readonly string[]): void {
  if (patterns.length === 0) return;
  const tree = new Tree(context.directory);
  try {
    dropBelow(tree, createPatternMatcher(patterns), { path: "", state: undefined });
  } finally {
    tree.close();
  }
}

function dropBelow(
  tree: Tree,
  matcher: PatternMatcher,
  at: { readonly path: string; readonly state: MatchState | undefined },
): void {
  for (const name of tree.list(at.path)) {
    const path = joinTree(at.path, name);
    const { matched, state } = matcher.matchesBelow(shown(path), at.state);
    const isDirectory = tree.stat(path)?.isDirectory() === true;
    if (isDirectory && (!matched || matcher.hasExclusions)) {
      dropBelow(tree, matcher, { path, state });
      if (matched && tree.list(path).length === 0) rmdirSync(tree.path(path));
    } else if (matched) removeTree(tree.fd, Buffer.from(path, "latin1"));
  }
}
