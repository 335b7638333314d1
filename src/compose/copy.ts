/** The container's side of `cp`. The local side comes as functions, for files of this machine are the caller's business. */
import { posix } from "node:path";
import { Readable } from "node:stream";

import type { ArchiveStat } from "../api/wire.ts";
import type { Container } from "../client/docker.ts";
import { isTscomposeError, TscomposeError } from "../errors.ts";
import type { ObservedContainer } from "../planner/observed.ts";
import { observeContainers } from "../planner/observe.ts";

import type { ComposeContext, ProjectReference } from "./context.ts";
import { checkServices, oneContainer } from "./select.ts";

export interface CopyTarget {
  readonly service: string;
  /** Absolute or relative to the container's root. */
  readonly path: string;
  /** 0: from the first replica, to all of them. */
  readonly index: number;
  /** One-offs count too. */
  readonly oneOffs: boolean;
}

/** A tar whose top entry bears the name given; undefined: of the content alone, or an archive that is handed through. */
export type MakeTar = (name: string | undefined) => AsyncIterable<Buffer>;

export interface CopyInOptions {
  /** What is copied: its own name, and whether it is a folder. `archive`: a tar to be unpacked as it is. */
  readonly source: { readonly kind: "file" | "directory" | "archive"; readonly name: string };
  readonly makeTar: MakeTar;
  readonly keepOwner: boolean;
}

/** Into each replica. @throws request/not-found, request/invalid where the target does not fit the source. */
export async function copyIn(
  context: ComposeContext,
  reference: ProjectReference,
  target: CopyTarget,
  options: CopyInOptions,
): Promise<void> {
  const containers = await replicas(context, reference, target);
  await Promise.all(
    containers.map(async ({ id, name }) => {
      const said = { kind: "Container", name } as const;
      context.onProgress({ ...said, status: "working", text: "Copying" });
      const container = context.docker.getContainer(id);
      const { folder, as } = await place(container, absolute(target.path), options.source);
      await container.putArchive(Readable.from(options.makeTar(as)), {
        path: folder,
        noOverwriteDirNonDir: true,
        copyUIDGID: options.keepOwner,
        abortSignal: context.signal,
      });
      context.onProgress({ ...said, status: "done", text: "Copied" });
    }),
  );
}

/** Folder to unpack in, and the name the top entry gets there. Source: docker/cli, `cp`. */
async function place(
  container: Container,
  path: string,
  source: CopyInOptions["source"],
): Promise<{ readonly folder: string; readonly as: string | undefined }> {
  const found = await statPath(container, path);
  const isFolder = found !== undefined && isDirectory(found.stat);
  if (source.kind === "archive") {
    if (!isFolder)
      throw new TscomposeError("request/invalid", `an archive can only be unpacked in a folder, and ${path} is none`);
    return { folder: found.path, as: undefined };
  }
  if (isFolder) return { folder: found.path, as: source.name };
  if (source.kind === "directory" && found !== undefined) {
    throw new TscomposeError("request/invalid", `cannot copy a folder over the file ${path}`);
  }
  if (source.kind === "file" && path.endsWith("/"))
    throw new TscomposeError("request/not-found", `no such folder in the container: ${path}`);
  const to = found?.path ?? path.replace(/\/+$/, "");
  return { folder: posix.dirname(to), as: posix.basename(to) };
}

export interface CopiedOut {
  readonly stat: ArchiveStat;
  readonly tar: Readable;
  readonly container: string;
}

/** From the first replica, or the one of that number. The top entry of the tar bears the last part of the path. */
export async function copyOut(
  context: ComposeContext,
  reference: ProjectReference,
  target: CopyTarget,
  { follow }: { readonly follow: boolean },
): Promise<CopiedOut> {
  const [first] = await replicas(context, reference, { ...target, index: target.index === 0 ? -1 : target.index });
  if (first === undefined)
    throw new TscomposeError("request/not-found", `no container found for service "${target.service}"`);
  const container = context.docker.getContainer(first.id);
  const path = absolute(target.path);
  const found = follow ? await statPath(container, path) : undefined;
  const query = { path: found?.path ?? path, abortSignal: context.signal };
  try {
    const [stat, tar] = await Promise.all([container.infoArchive(query), container.getArchive(query)]);
    return { stat, tar, container: first.name };
  } catch (error) {
    if (!isTscomposeError(error, "request/not-found") && !isTscomposeError(error, "container/not-found")) throw error;
    throw new TscomposeError("request/not-found", `no such path in container ${first.name}: ${path}`, { cause: error });
  }
}

/** `index` -1: only the first. */
async function replicas(
  context: ComposeContext,
  reference: ProjectReference,
  { service, index, oneOffs }: CopyTarget,
): Promise<readonly ObservedContainer[]> {
  const all = await observeContainers(context.docker, reference.name, context.signal);
  checkServices(reference, all, reference.project === undefined ? [] : [service]);
  const known = oneOffs ? all : all.filter(({ oneoff }) => !oneoff);
  const first = oneContainer(known, service, { index: Math.max(0, index), running: false });
  return index === 0 ? known.filter((container) => container.service === service) : [first];
}

function absolute(path: string): string {
  return path.startsWith("/") ? path : `/${path}`;
}

/** Of the thing itself, through symlinks. Undefined: there is none. */
async function statPath(
  container: Container,
  path: string,
): Promise<{ readonly stat: ArchiveStat; readonly path: string } | undefined> {
  let at = path;
  // As many as Linux follows.
  for (let links = 0; links < 40; links += 1) {
    let stat: ArchiveStat;
    try {
      stat = await container.infoArchive({ path: at });
    } catch (error) {
      if (isTscomposeError(error, "request/not-found") || isTscomposeError(error, "container/not-found"))
        return undefined;
      throw error;
    }
    if (!isSymlink(stat)) return { stat, path: at };
    at = posix.resolve(posix.dirname(at), stat.linkTarget);
  }
  throw new TscomposeError("request/invalid", `too many symbolic links at ${path}`);
}

/** Bits of Go's os.FileMode. */
function isDirectory({ mode }: ArchiveStat): boolean {
  return Math.floor(mode / 2 ** 31) % 2 === 1;
}

function isSymlink({ mode }: ArchiveStat): boolean {
  return Math.floor(mode / 2 ** 27) % 2 === 1;
}
