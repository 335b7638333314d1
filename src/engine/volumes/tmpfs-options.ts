/** Options of tmpfs mounts. Pure. Source: docker run --tmpfs, tmpfs(5). */
import { TscomposeError } from "../../errors.ts";
import type { MountRequest } from "../types.ts";

/** What every tmpfs of a container has unless said otherwise. */
const defaults: readonly string[] = ["noexec", "nosuid", "nodev"];

const opposites: Readonly<Record<string, string>> = {
  ro: "rw",
  exec: "noexec",
  suid: "nosuid",
  dev: "nodev",
  async: "sync",
  atime: "noatime",
  diratime: "nodiratime",
  norelatime: "relatime",
  nostrictatime: "strictatime",
};
const flags = new Set(["defaults", "dirsync", "rprivate", "private", ...Object.entries(opposites).flat()]);
const valueKeys = new Set([
  "mode",
  "uid",
  "gid",
  "size",
  "nr_inodes",
  "nr_blocks",
  "mpol",
  "huge",
  "inode32",
  "inode64",
]);

/** `size=64m,mode=1777,exec` over the defaults; a later word overrides an earlier one of its kind.
 *  @throws request/invalid naming the word that tmpfs does not have */
export function tmpfsOptions(text: string): readonly string[] {
  const words = text.split(",").filter((word) => word !== "" && word !== "defaults");
  const unknown = words.filter((word) => !flags.has(word) && !valueKeys.has(word.split("=")[0] ?? ""));
  if (unknown.length > 0) {
    const [first = ""] = unknown;
    throw new TscomposeError("request/invalid", `invalid tmpfs option ${JSON.stringify(first.split("=")[0])}`);
  }
  const byKind = new Map<string, string>();
  for (const word of [...defaults, ...words]) {
    const kind = kindOf(word);
    byKind.delete(kind);
    byKind.set(kind, word);
  }
  return [...byKind.values()];
}

function kindOf(word: string): string {
  const key = word.split("=")[0] ?? word;
  return opposites[key] ?? key;
}

/** Of `TmpfsOptions` in a mount request. */
export function tmpfsRequestOptions(request: MountRequest, refuse: (reason: string) => never): readonly string[] {
  const { SizeBytes = 0, Mode, Options } = request.TmpfsOptions ?? {};
  if (SizeBytes < 0) refuse("negative tmpfs size");
  const extra = (Options ?? []).map((pair) => {
    if (pair.length < 1 || pair.length > 2) refuse("invalid option array length");
    return pair.join("=");
  });
  const given = [
    ...(SizeBytes > 0 ? [`size=${SizeBytes}`] : []),
    ...(Mode === undefined || Mode === 0 ? [] : [`mode=${(Mode & 0o7777).toString(8)}`]),
    ...extra,
  ];
  return tmpfsOptions(given.join(","));
}
