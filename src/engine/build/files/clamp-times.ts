/** SOURCE_DATE_EPOCH: nothing in a layer is newer. */
import * as libc from "../../../host/libc.ts";
import { joinTree, Tree } from "./tree.ts";

export function clampTimes(directory: string, epochSeconds: number): void {
  const tree = new Tree(directory);
  try {
    clampBelow(tree, "", BigInt(epochSeconds));
  } finally {
    tree.close();
  }
}

function clampBelow(tree: Tree, path: string, epoch: bigint): void {
  for (const name of tree.list(path)) {
    const at = joinTree(path, name);
    const stat = tree.stat(at);
    if (stat === undefined) continue;
    if (stat.isDirectory()) clampBelow(tree, at, epoch);
    if (stat.mtimeNs <= epoch * 1_000_000_000n) continue;
    libc.utimensat(tree.fd, Buffer.from(at, "latin1"), { sec: epoch, nsec: 0 });
  }
}
