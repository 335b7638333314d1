/** COPY, ADD and WORKDIR: files put into a new layer. */
import { TscomposeError } from "../../../errors.ts";
import { copyEntry } from "../files/copy-tree.ts";
import { digestSources } from "../files/digest-tree.ts";
import { makeDirectories } from "../files/make-directories.ts";
import type { FileTime } from "../files/make-directories.ts";
import { matchingSources } from "../files/select-sources.ts";
import { shown, toBytes, Tree } from "../files/tree.ts";
import { isArchive, unpackArchive } from "../files/unpack-archive.ts";
import type { KnownFiles } from "../files/known-files.ts";
import { ownerOf } from "../files/user-of.ts";
import type { CopyAction, CopyStep, MkdirStep, Source } from "../plan/steps.ts";
import type { BuildScope } from "./build-context.ts";
import type { LayerReuse } from "./layer-reuse.ts";
import { writeInline } from "./inline-file.ts";

/** The files of a source to read, and what is known of their contents. */
export interface ReadableSource {
  readonly tree: Tree;
  readonly known: KnownFiles;
}

export type OpenSource = (source: Source) => ReadableSource;

export const nothingKnown: KnownFiles = new Map();

/** Entries of the source that the action names.
 *  @throws build/failed for one that is not there */
function namedEntries(tree: Tree, origin: Extract<CopyAction["origin"], { kind: "files" }>): readonly string[] {
  const sources = matchingSources(tree, origin.path);
  for (const path of [...sources, ...origin.required.map(toBytes)]) {
    if (tree.stat(tree.resolve(path)) === undefined)
      throw new TscomposeError("build/failed", `"/${shown(path)}": not found`, {
        hint:
          origin.source.kind === "context"
            ? "check the path, and that .dockerignore does not leave it out"
            : "check the path in the image or stage that is copied from",
      });
  }
  return sources;
}

/** What the files that an action reads are, for the content key. */
export async function digestAction(scope: BuildScope, action: CopyAction, open: OpenSource): Promise<string> {
  const { origin } = action;
  if (origin.kind === "inline") return "";
  if (origin.kind !== "files") return scope.remotes.digest(scope, origin);
  const { tree, known } = open(origin.source);
  const sources = namedEntries(tree, origin);
  return digestSources(tree, sources, { include: origin.include, exclude: action.exclude, known });
}

interface Target {
  readonly tree: Tree;
  /** Where passwd is; undefined for scratch. */
  readonly root: string | undefined;
  readonly time: FileTime | undefined;
}

async function applyAction(
  scope: BuildScope,
  action: CopyAction,
  at: { readonly target: Target; readonly open: OpenSource; readonly reuse: LayerReuse | undefined },
): Promise<void> {
  const { target, open } = at;
  const owner = ownerOf(action.chown, target.root);
  const { origin, destination, mode, exclude } = action;
  const options = { owner, mode, exclude, include: [], time: target.time };
  switch (origin.kind) {
    case "files": {
      const { tree } = open(origin.source);
      const sources = namedEntries(tree, origin);
      const reuse = sources.length === 1 ? at.reuse : undefined;
      for (const source of sources) {
        const real = tree.resolve(source);
        if (action.unpack && tree.stat(real)?.isFile() === true && (await isArchive(tree.path(real)))) {
          await unpackArchive(tree.path(real), target.tree, { destination, owner, time: target.time });
          continue;
        }
        await copyEntry(
          { source: tree, target: target.tree },
          { source, destination },
          { ...options, include: origin.include },
          reuse,
        );
      }
      return;
    }
    case "inline": {
      const directory = writeInline(scope.workspace, origin);
      await copyFrom(directory, origin.name);
      return;
    }
    case "url": {
      const { directory } = await scope.remotes.get(scope, origin);
      if (!action.unpack) {
        await copyFrom(directory, origin.name);
        return;
      }
      const tree = new Tree(directory);
      try {
        await unpackArchive(tree.path(toBytes(origin.name)), target.tree, { destination, owner, time: target.time });
      } finally {
        tree.close();
      }
      return;
    }
    case "git": {
      const { directory } = await scope.remotes.get(scope, origin);
      await copyFrom(directory, "");
    }
  }

  async function copyFrom(directory: string, name: string): Promise<void> {
    const tree = new Tree(directory);
    try {
      await copyEntry({ source: tree, target: target.tree }, { source: toBytes(name), destination }, options);
    } finally {
      tree.close();
    }
  }
}

export function epochTime(epochSeconds: number | undefined): FileTime | undefined {
  return epochSeconds === undefined ? undefined : { sec: BigInt(epochSeconds), nsec: 0 };
}

/** Writes below `root` (`link`: a directory with nothing else in it). `reuse`: of a step with one action only. */
export async function runCopy(
  scope: BuildScope,
  step: CopyStep,
  at: {
    readonly root: string;
    readonly passwdRoot: string | undefined;
    readonly open: OpenSource;
    readonly reuse?: LayerReuse | undefined;
  },
): Promise<void> {
  const tree = new Tree(at.root);
  try {
    const target = { tree, root: at.passwdRoot, time: undefined };
    for (const action of step.actions) {
      scope.signal.throwIfAborted();
      await applyAction(scope, action, { target, open: at.open, reuse: at.reuse });
    }
  } finally {
    tree.close();
  }
}

export function runMkdir(scope: BuildScope, step: MkdirStep, root: string): void {
  const tree = new Tree(root);
  try {
    const owner = ownerOf(step.user, step.parent.kind === "scratch" ? undefined : root);
    const options = { mode: 0o755, owner, time: epochTime(scope.epochSeconds) };
    makeDirectories(tree, tree.resolve(toBytes(step.path)), options);
  } finally {
    tree.close();
  }
}
