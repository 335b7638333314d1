/** User namespaces of containers: which one a container gets, and the image's layers as that namespace sees them.
 *  One mount of the data root shows all layers with their owners shifted, so that no file needs another owner on disk. */
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmdirSync, statSync } from "node:fs";
import { join, relative } from "node:path";
import { TscomposeError } from "../../errors.ts";
import { bindIdMapped, createUserNamespace, lacksIdMapping, type IdMap } from "../../host/id-map.ts";
import { MNT_DETACH, syscallErrno, umount } from "../../host/libc.ts";
import { parseRemap, subordinateMap } from "../runtime/subordinate-ids.ts";
import type { HostConfig } from "../types.ts";

export class UserNamespaces {
  readonly #roots: { readonly dataRoot: string; readonly runRoot: string };
  /** As in TSCOMPOSE_USERNS_REMAP. */
  readonly #remap: string;
  /** Text of a map -> its namespace. */
  readonly #namespaces = new Map<string, Promise<number>>();
  /** Text of a map -> where the data root is mounted with it. */
  readonly #views = new Map<string, string>();

  constructor(roots: { readonly dataRoot: string; readonly runRoot: string }, remap: string | undefined) {
    this.#roots = roots;
    this.#remap = remap ?? "";
    parseRemap(this.#remap);
  }

  /** The map of a new container; undefined: it stays in the host's namespace.
   *  @throws request/invalid for what such a namespace cannot have, host/unsupported without a range */
  mapFor(hostConfig: HostConfig): IdMap | undefined {
    const mode = hostConfig.UsernsMode ?? "";
    const wish = parseRemap(mode === "private" ? this.#remap || "default" : mode === "" ? this.#remap : "");
    if (wish === undefined) return undefined;
    const conflict = conflictOf(hostConfig);
    if (conflict !== undefined) {
      throw new TscomposeError("request/invalid", conflict, { hint: "add userns_mode: host" });
    }
    return subordinateMap(
      wish,
      { subuid: read("/etc/subuid"), subgid: read("/etc/subgid") },
      { uid: numberIn("/etc/passwd", wish.user), gid: numberIn("/etc/group", wish.group) },
    );
  }

  /** A descriptor that stays open. */
  async namespaceOf(map: IdMap): Promise<number> {
    const key = JSON.stringify(map);
    const known = this.#namespaces.get(key);
    if (known !== undefined) return known;
    const made = createUserNamespace(map);
    this.#namespaces.set(key, made);
    made.catch(() => this.#namespaces.delete(key));
    return made;
  }

  /** Makes the view of the data root that `shifted` uses. @throws host/unsupported where its file system cannot do it */
  async prepare(map: IdMap): Promise<void> {
    const key = JSON.stringify(map);
    if (this.#views.has(key)) return;
    const userNamespace = await this.namespaceOf(map);
    if (this.#views.has(key)) return;
    const { uids, gids } = map;
    const view = join(
      this.#roots.runRoot,
      "idmap",
      `${uids[0]?.outside ?? 0}-${gids[0]?.outside ?? 0}-${this.#views.size}`,
    );
    mkdirSync(view, { recursive: true, mode: 0o700 });
    try {
      bindIdMapped(this.#roots.dataRoot, view, { userNamespace, recursive: false });
    } catch (error) {
      throw new TscomposeError(
        "host/unsupported",
        `the file system of ${this.#roots.dataRoot} has no idmapped mounts, which user namespaces need`,
        { cause: error, hint: "use ext4, xfs or btrfs and Linux 5.19 or later, or userns_mode: host" },
      );
    }
    this.#views.set(key, view);
  }

  /** A directory below the data root, as the namespace sees its owners. `prepare` has been called. */
  shifted(map: IdMap | undefined, path: string): string {
    const view = map === undefined ? undefined : this.#views.get(JSON.stringify(map));
    return view === undefined ? path : join(view, relative(this.#roots.dataRoot, path));
  }

  /** Shows a directory or a file at `target`, which exists, with the owners of the namespace.
   *  @returns false where the file system cannot do it: then nothing is mounted */
  async bind(map: IdMap, source: string, target: string): Promise<boolean> {
    const userNamespace = await this.namespaceOf(map);
    for (const recursive of [true, false]) {
      try {
        bindIdMapped(source, target, { userNamespace, recursive });
        return true;
      } catch (error) {
        if (!lacksIdMapping(error)) throw error;
      }
    }
    return false;
  }

  /** Runs `work` on a view of a directory whose files belong, on disk, to the namespace's ids: it sees the owners inside. */
  async asInside<T>(map: IdMap | undefined, path: string, work: (path: string) => Promise<T>): Promise<T> {
    if (map === undefined) return work(path);
    const inverse = (ranges: IdMap["uids"]): IdMap["uids"] =>
      ranges.map(({ inside, outside, size }) => ({ inside: outside, outside: inside, size }));
    mkdirSync(join(this.#roots.runRoot, "idmap"), { recursive: true, mode: 0o700 });
    const view = mkdtempSync(join(this.#roots.runRoot, "idmap", "view-"));
    try {
      await this.bind({ uids: inverse(map.uids), gids: inverse(map.gids) }, path, view);
      return await work(view);
    } finally {
      unmountIdMapped(view);
      rmdirSync(view);
    }
  }

  /** Where a container in such a namespace is mounted: its root must be able to reach it, and nobody else can list it. */
  rootPath(id: string): string {
    return join(this.#roots.runRoot, "u", id);
  }

  /** A path that a namespace's root may walk through. */
  openDirectories(bundle: string): void {
    for (const path of [join(bundle, ".."), bundle]) {
      if ((statSync(path).mode & 0o777) !== 0o711) chmodSync(path, 0o711);
    }
  }
}

/** Takes an idmapped mount away again; what is not mounted is fine. */
export function unmountIdMapped(path: string): void {
  try {
    umount(path, MNT_DETACH);
  } catch (error) {
    if (syscallErrno(error) !== "EINVAL" && syscallErrno(error) !== "ENOENT") throw error;
  }
}

/** Docker's words. */
function conflictOf(hostConfig: HostConfig): string | undefined {
  if (hostConfig.Privileged === true) {
    return "privileged mode is incompatible with user namespaces. You must run the container in the host namespace when running privileged mode";
  }
  if (hostConfig.NetworkMode === "host")
    return "cannot share the host's network namespace when user namespaces are enabled";
  if (hostConfig.PidMode === "host") return "cannot share the host PID namespace when user namespaces are enabled";
  if (hostConfig.IpcMode === "host") return "cannot share the host's IPC namespace when user namespaces are enabled";
  if (hostConfig.UTSMode === "host") return "cannot share the host's UTS namespace when user namespaces are enabled";
  return undefined;
}

function numberIn(file: string, name: string): number | undefined {
  const line = read(file)
    .split("\n")
    .find((candidate) => candidate.startsWith(`${name}:`));
  const number = line?.split(":")[2];
  return number !== undefined && /^\d+$/.test(number) ? Number(number) : undefined;
}

function read(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return "";
  }
}
