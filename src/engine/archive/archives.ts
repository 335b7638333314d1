/** Files in and out of containers, as the archive endpoints of the Engine API have them. */
import { closeSync, readlinkSync } from "node:fs";
import { posix } from "node:path";
import { createGunzip } from "node:zlib";
import { Readable } from "node:stream";
import { errorMessage, TscomposeError } from "../../errors.ts";
import { formatNanoseconds } from "../../host/clock.ts";
import { syscallErrno } from "../../host/libc.ts";
import type { Container } from "../containers/container.ts";
import type { ContainerRegistry } from "../containers/registry.ts";
import type { ArchiveStat, ContainerService } from "../engine.ts";
import { containerAttributes, type PublishEvent } from "../events.ts";
import { findChanges } from "./changes.ts";
import { openContainerRoot, type ContainerRoot, type RootContext } from "./container-root.ts";
import { goFileMode } from "./file-mode.ts";
import { cleanPath, isMissing, linkTarget, openDirectory, openPlace, wantsDirectory, type Place } from "./in-root.ts";
import { packTree } from "./pack-tree.ts";
import { unpackTree } from "./unpack-tree.ts";

export interface ArchivesOptions extends RootContext {
  readonly registry: ContainerRegistry;
  /** Lower directories of the container's root, highest first. */
  readonly lowerDirs: (container: Container) => Promise<readonly string[]>;
  /** The user that the container's process runs as, by the container's own /etc. */
  readonly userOf: (container: Container) => Promise<{ readonly uid: number; readonly gid: number }>;
  readonly publish: PublishEvent;
  readonly log: (level: "warn", message: string) => void;
}

type ArchiveMethods = Pick<ContainerService, "statPath" | "getArchive" | "putArchive" | "export" | "changes">;

export class Archives implements ArchiveMethods {
  readonly #options: ArchivesOptions;

  constructor(options: ArchivesOptions) {
    this.#options = options;
  }

  async statPath(ref: string, path: string): Promise<ArchiveStat> {
    const container = this.#options.registry.resolve(ref);
    return this.#withRoot(container, async ({ fd }) => {
      const place = this.#find(fd, path, ref);
      try {
        return Promise.resolve(statOf(fd, path, place));
      } finally {
        closeSync(place.dir);
      }
    });
  }

  /** Symlinks at the end of `path` are sent as such. @throws request/not-found */
  async getArchive(
    ref: string,
    path: string,
  ): Promise<{ readonly stat: ArchiveStat; readonly tar: AsyncIterable<Buffer> }> {
    const container = this.#options.registry.resolve(ref);
    const root = await openContainerRoot(this.#options, container, { withMounts: true });
    try {
      const place = this.#find(root.fd, path, ref);
      const stat = statOf(root.fd, path, place);
      const top = realTop(root.fd, path, place);
      const mounts = new Set(container.record.mounts.map(({ Destination }) => Destination));
      this.#publish(container, "archive-path");
      return {
        stat,
        tar: this.#closing(
          root,
          packTree(place, { name: nameInArchive(path), path: top, mounts, map: container.record.userNamespace }),
        ),
      };
    } catch (error) {
      await this.#close(root);
      throw error;
    }
  }

  /** @throws request/not-found, request/invalid, image/invalid */
  async putArchive(
    ref: string,
    path: string,
    tar: AsyncIterable<Buffer>,
    options: { readonly noOverwriteDirNonDir: boolean; readonly copyUidGid: boolean },
  ): Promise<void> {
    const container = this.#options.registry.resolve(ref);
    const owner = options.copyUidGid ? await this.#options.userOf(container) : undefined;
    await this.#withRoot(container, async ({ fd }) => {
      const target = this.#extractionPoint(fd, path, ref);
      assertWritable(container, target);
      const { noOverwriteDirNonDir } = options;
      await unpackTree(fd, decompress(tar), {
        path: target,
        noOverwriteDirNonDir,
        owner,
        map: container.record.userNamespace,
      });
    });
    this.#publish(container, "extract-to-dir");
  }

  /** The container's own files, without its mounts. */
  async export(ref: string): Promise<AsyncIterable<Buffer>> {
    const container = this.#options.registry.resolve(ref);
    const root = await openContainerRoot(this.#options, container, { withMounts: false });
    const place = openPlace(root.fd, "/");
    this.#publish(container, "export");
    return this.#closing(
      root,
      packTree(place, { name: "", path: "/", mounts: new Set(), map: container.record.userNamespace }),
    );
  }

  async changes(ref: string): Promise<readonly { readonly Path: string; readonly Kind: 0 | 1 | 2 }[]> {
    const container = this.#options.registry.resolve(ref);
    return findChanges(container.paths.upper, await this.#options.lowerDirs(container));
  }

  #find(root: number, path: string, ref: string): Place {
    try {
      return openPlace(root, path);
    } catch (error) {
      if (!isMissing(error)) throw error;
      throw notFound(path, ref);
    }
  }

  /** As the container sees it, without symlinks. */
  #extractionPoint(root: number, path: string, ref: string): string {
    let fd: number;
    try {
      fd = openDirectory(root, cleanPath(path));
    } catch (error) {
      if (!isMissing(error)) throw error;
      if (syscallErrno(error) !== "ENOTDIR") throw notFound(path, ref);
      throw new TscomposeError("request/invalid", "extraction point is not a directory");
    }
    try {
      return pathOf(root, fd);
    } finally {
      closeSync(fd);
    }
  }

  async #withRoot<T>(container: Container, work: (root: ContainerRoot) => Promise<T>): Promise<T> {
    const root = await openContainerRoot(this.#options, container, { withMounts: true });
    try {
      return await work(root);
    } finally {
      await this.#close(root);
    }
  }

  async *#closing(root: ContainerRoot, tar: AsyncIterable<Buffer>): AsyncGenerator<Buffer, void, undefined> {
    try {
      yield* tar;
    } finally {
      await this.#close(root);
    }
  }

  async #close(root: ContainerRoot): Promise<void> {
    for (const problem of await root.close()) this.#options.log("warn", errorMessage(problem));
  }

  #publish(container: Container, action: "archive-path" | "extract-to-dir" | "export"): void {
    const attributes = containerAttributes(container.record);
    this.#options.publish({ type: "container", action, id: container.id, attributes });
  }
}

function notFound(path: string, ref: string): TscomposeError {
  return new TscomposeError("request/not-found", `Could not find the file ${path} in container ${ref}`);
}

function statOf(root: number, path: string, place: Place): ArchiveStat {
  const { stat } = place;
  return {
    name: cleanPath(path) === "/" ? "/" : posix.basename(cleanPath(path)),
    size: Number(stat.size),
    mode: goFileMode(stat.mode),
    mtime: formatNanoseconds(stat.mtimeNs),
    linkTarget: stat.isSymbolicLink() ? linkTarget(root, path, place) : "",
  };
}

/** `/etc` and `/etc/` -> `etc`; `/etc/.` -> `.`; `/` -> `/`. */
function nameInArchive(path: string): string {
  if (cleanPath(path) === "/") return "/";
  return wantsDirectory(path) && path.endsWith("/.") ? "." : posix.basename(cleanPath(path));
}

function realTop(root: number, path: string, place: Place): string {
  const directory = pathOf(root, place.dir);
  return place.name === undefined ? directory : posix.join(directory, posix.basename(cleanPath(path)));
}

/** Where an open file is, as the container sees it. */
function pathOf(root: number, fd: number): string {
  const rootPath = readlinkSync(`/proc/self/fd/${root}`);
  const path = readlinkSync(`/proc/self/fd/${fd}`);
  return posix.join("/", rootPath === "/" ? path : path.slice(rootPath.length));
}

function assertWritable(container: Container, target: string): void {
  const { hostConfig, mounts } = container.record;
  const inMount = mounts
    .filter(({ Destination }) => target === Destination || target.startsWith(`${Destination}/`))
    .toSorted((a, b) => b.Destination.length - a.Destination.length)[0];
  if (inMount !== undefined && !inMount.RW)
    throw new TscomposeError("request/invalid", "mounted volume is marked read-only");
  if (inMount === undefined && hostConfig.ReadonlyRootfs === true) {
    throw new TscomposeError("request/invalid", "container rootfs is marked read-only");
  }
}

const magics: readonly (readonly [name: string, bytes: Buffer])[] = [
  ["gzip", Buffer.of(0x1f, 0x8b)],
  ["bzip2", Buffer.from("BZh")],
  ["xz", Buffer.of(0xfd, 0x37, 0x7a, 0x58, 0x5a, 0)],
  ["zstd", Buffer.of(0x28, 0xb5, 0x2f, 0xfd)],
];

/** Never with a program of the container (CVE-2026-41567). */
async function* decompress(tar: AsyncIterable<Buffer>): AsyncGenerator<Buffer, void, undefined> {
  const chunks = tar[Symbol.asyncIterator]();
  let head: Buffer = Buffer.alloc(0);
  let done = false;
  while (head.length < 8 && !done) {
    const next = await chunks.next();
    if (next.done === true) done = true;
    else head = Buffer.concat([head, next.value]);
  }
  async function* whole(): AsyncGenerator<Buffer, void, undefined> {
    if (head.length > 0) yield head;
    while (!done) {
      const next = await chunks.next();
      if (next.done === true) done = true;
      else yield next.value;
    }
  }
  const [kind] = magics.find(([, magic]) => head.subarray(0, magic.length).equals(magic)) ?? [];
  if (kind === undefined) yield* whole();
  else if (kind === "gzip") yield* gunzip(whole());
  else {
    throw new TscomposeError("request/unsupported", `archives compressed with ${kind} are not accepted`, {
      hint: "send the archive uncompressed or with gzip",
    });
  }
}

async function* gunzip(compressed: AsyncIterable<Buffer>): AsyncGenerator<Buffer, void, undefined> {
  const source = Readable.from(compressed);
  const plain = source.pipe(createGunzip());
  source.on("error", (error) => plain.destroy(error));
  try {
    for await (const chunk of plain) yield chunk as Buffer;
  } catch (error) {
    throw new TscomposeError("request/invalid", `the archive cannot be decompressed: ${errorMessage(error)}`, {
      cause: error,
    });
  }
}
