/** The files that a build made, for those who want them rather than an image. */
import { closeSync, constants, openSync, read } from "node:fs";
import { promisify } from "node:util";
import { packTree } from "../../archive/pack-tree.ts";
import type { ClientEntry, ResultFiles } from "../types.ts";
import { joinTree, Tree } from "./tree.ts";
import { O_DIRECTORY } from "../../../host/libc.ts";

const chunkBytes = 256 * 1024;
const readAt = promisify(read);

/** `directory`: nothing changes in it. */
export function resultFiles(directory: string): ResultFiles {
  return {
    tar: () => {
      const tree = new Tree(directory);
      const stat = tree.stat("");
      tree.close();
      if (stat === undefined) throw new Error(`no directory ${directory}`);
      const dir = openSync(directory, constants.O_RDONLY | O_DIRECTORY);
      return packTree({ dir, name: undefined, stat }, { name: "", path: "/", mounts: new Set() });
    },
    *entries() {
      const tree = new Tree(directory);
      try {
        yield* below(tree, "");
      } finally {
        tree.close();
      }
    },
    read: (path) => contentOf(directory, path),
  };
}

/** A directory, then what is in it; names in the order of their bytes. */
function* below(tree: Tree, directory: string): Generator<ClientEntry> {
  for (const name of tree.list(directory)) {
    const path = joinTree(directory, name);
    const stat = tree.stat(path);
    if (stat === undefined) continue;
    const type = stat.isDirectory()
      ? "directory"
      : stat.isSymbolicLink()
        ? "symlink"
        : stat.isFile()
          ? "file"
          : "other";
    if (type === "other") continue;
    yield {
      path: Buffer.from(path, "latin1"),
      type,
      mode: Number(stat.mode) & 0o7777,
      sizeBytes: type === "file" ? stat.size : 0n,
      mtimeNs: stat.mtimeNs,
      link: type === "symlink" ? Buffer.from(tree.link(path), "latin1") : Buffer.alloc(0),
    };
    if (type === "directory") yield* below(tree, path);
  }
}

async function* contentOf(directory: string, path: Buffer): AsyncGenerator<Buffer, void, void> {
  const tree = new Tree(directory);
  try {
    const fd = openSync(tree.path(path.toString("latin1")), constants.O_RDONLY | constants.O_NOFOLLOW);
    try {
      for (;;) {
        const buffer = Buffer.allocUnsafe(chunkBytes);
        const { bytesRead } = await readAt(fd, buffer, 0, chunkBytes, null);
        if (bytesRead === 0) return;
        yield buffer.subarray(0, bytesRead);
      }
    } finally {
      closeSync(fd);
    }
  } finally {
    tree.close();
  }
}
