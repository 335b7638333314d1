/** User namespaces and mounts that show other owners: a range of the host's ids stands for 0 and up inside.
 *  Source: user_namespaces(7), mount_setattr(2), open_tree(2), move_mount(2); Linux filesystems/idmappings. */
import { spawn } from "node:child_process";
import { closeSync, openSync, readlinkSync, writeFileSync } from "node:fs";
import { TscomposeError } from "../errors.ts";
import { childEnvironment } from "./command.ts";
import { check, cString, libc, syscallErrno, type PathBytes } from "./libc.ts";

/** `size` ids from `inside` on are those from `outside` on. */
export interface IdRange {
  readonly inside: number;
  readonly outside: number;
  readonly size: number;
}
export interface IdMap {
  readonly uids: readonly IdRange[];
  readonly gids: readonly IdRange[];
}
export interface Owner {
  readonly uid: number;
  readonly gid: number;
}

const overflowId = 65534;

/** The host's ids of an owner inside. @throws request/invalid for one that the map does not have */
export function ownerOutside(map: IdMap | undefined, owner: Owner): Owner {
  if (map === undefined) return owner;
  return { uid: outside(map.uids, owner.uid), gid: outside(map.gids, owner.gid) };
}

/** What an owner on the host is inside; whom the map does not have is nobody. */
export function ownerInside(map: IdMap | undefined, owner: Owner): Owner {
  if (map === undefined) return owner;
  return { uid: inside(map.uids, owner.uid), gid: inside(map.gids, owner.gid) };
}

function outside(ranges: readonly IdRange[], id: number): number {
  const range = ranges.find((candidate) => id >= candidate.inside && id < candidate.inside + candidate.size);
  if (range !== undefined) return range.outside + id - range.inside;
  throw new TscomposeError(
    "request/invalid",
    `the id ${id} is outside of the range of the container's user namespace`,
    {
      hint: "use a smaller number, a larger range in /etc/subuid and /etc/subgid, or userns_mode: host",
    },
  );
}

function inside(ranges: readonly IdRange[], id: number): number {
  const range = ranges.find((candidate) => id >= candidate.outside && id < candidate.outside + candidate.size);
  return range === undefined ? overflowId : range.inside + id - range.outside;
}

/** Makes a user namespace with that map. @returns a descriptor of it, which keeps it. @throws host/unsupported */
export async function createUserNamespace(map: IdMap): Promise<number> {
  // Leaves when its standard input ends. The program unshares first, and is then another one.
  const child = spawn("unshare", ["--user", "cat"], {
    stdio: ["pipe", "ignore", "ignore"],
    env: { ...childEnvironment },
  });
  const ended = new Promise<void>((resolve) => {
    child.once("error", () => resolve());
    child.once("exit", () => resolve());
  });
  try {
    const own = readlinkSync("/proc/self/ns/user");
    const proc = `/proc/${child.pid ?? 0}`;
    const deadline = performance.now() + 10_000;
    while (readUserNamespace(proc) === own) {
      if (performance.now() > deadline || child.exitCode !== null) throw new Error("no user namespace could be made");
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
    writeFileSync(`${proc}/uid_map`, mapText(map.uids));
    writeFileSync(`${proc}/gid_map`, mapText(map.gids));
    return openSync(`${proc}/ns/user`, "r");
  } catch (error) {
    throw new TscomposeError("host/unsupported", "user namespaces cannot be made on this host", {
      cause: error,
      hint: "set /proc/sys/user/max_user_namespaces above 0, or leave user namespaces out (userns_mode: host)",
    });
  } finally {
    child.stdin.end();
    child.kill("SIGKILL");
    await ended;
  }
}

function readUserNamespace(proc: string): string {
  try {
    return readlinkSync(`${proc}/ns/user`);
  } catch {
    return "";
  }
}

const mapText = (ranges: readonly IdRange[]): string =>
  ranges.map(({ inside: from, outside: to, size }) => `${from} ${to} ${size}\n`).join("");

const SYS_OPEN_TREE = 428;
const SYS_MOVE_MOUNT = 429;
const SYS_MOUNT_SETATTR = 442;
const AT_FDCWD = -100;
const AT_EMPTY_PATH = 0x1000;
const AT_RECURSIVE = 0x8000;
const OPEN_TREE_CLONE = 1;
const OPEN_TREE_CLOEXEC = 0o2000000;
const MOVE_MOUNT_F_EMPTY_PATH = 0x4;
/** A descriptor's path below /proc is a symlink. */
const MOVE_MOUNT_T_SYMLINKS = 0x10;
const MOUNT_ATTR_IDMAP = 0x00100000n;

const openTreeFn = libc.func("syscall", "long", ["long", "int", "const uint8_t *", "unsigned int"]);
const setattrFn = libc.func("syscall", "long", [
  "long",
  "int",
  "const uint8_t *",
  "unsigned int",
  "const uint8_t *",
  "size_t",
]);
const moveMountFn = libc.func("syscall", "long", [
  "long",
  "int",
  "const uint8_t *",
  "int",
  "const uint8_t *",
  "unsigned int",
]);

/** Whether the file system of a mount that `bindIdMapped` failed for cannot show other owners. */
export function lacksIdMapping(error: unknown): boolean {
  return (
    syscallErrno(error) === "EINVAL" && error instanceof TscomposeError && error.details["syscall"] === "mount_setattr"
  );
}

/** Shows `source` at `target` with the owners as `userNamespace` maps them. `recursive`: what is mounted below comes along.
 *  @throws host/syscall-failed */
export function bindIdMapped(
  source: PathBytes,
  target: PathBytes,
  options: { readonly userNamespace: number; readonly recursive: boolean },
): void {
  const recursive = options.recursive ? AT_RECURSIVE : 0;
  const show = source.toString();
  const flags = OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | recursive;
  const tree = check(Number(openTreeFn(SYS_OPEN_TREE, AT_FDCWD, cString(source), flags)), "open_tree", show);
  try {
    const attributes = Buffer.alloc(32); // struct mount_attr: set, clear, propagation, userns
    attributes.writeBigUInt64LE(MOUNT_ATTR_IDMAP, 0);
    attributes.writeBigUInt64LE(BigInt(options.userNamespace), 24);
    const result = setattrFn(
      SYS_MOUNT_SETATTR,
      tree,
      cString(""),
      AT_EMPTY_PATH | recursive,
      attributes,
      attributes.length,
    );
    check(Number(result), "mount_setattr", show);
    const how = MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_SYMLINKS;
    const moved = moveMountFn(SYS_MOVE_MOUNT, tree, cString(""), AT_FDCWD, cString(target), how);
    check(Number(moved), "move_mount", target.toString());
  } finally {
    closeSync(tree);
  }
}

const PR_GET_SECUREBITS = 27;
const PR_SET_SECUREBITS = 28;
const SECBIT_NO_SETUID_FIXUP = 4;
const prctlFn = libc.func("prctl", "int", ["int", "unsigned long"]);
const setfsuidFn = libc.func("int setfsuid(unsigned int)");
const setfsgidFn = libc.func("int setfsgid(unsigned int)");

/** What `work` makes in file systems belongs to `owner`; the capabilities stay. For the thread that calls: `work` must not yield.
 *  Undefined: nothing changes. Source: setfsuid(2), capabilities(7) "SECBIT_NO_SETUID_FIXUP". */
export function creatingAs<T>(owner: Owner | undefined, work: () => T extends PromiseLike<unknown> ? never : T): T {
  if (owner === undefined) return work();
  const bits = check(prctlFn(PR_GET_SECUREBITS, 0) as number, "prctl", "PR_GET_SECUREBITS");
  check(prctlFn(PR_SET_SECUREBITS, bits | SECBIT_NO_SETUID_FIXUP) as number, "prctl", "PR_SET_SECUREBITS");
  const gid = setfsgidFn(owner.gid) as number;
  const uid = setfsuidFn(owner.uid) as number;
  try {
    return work();
  } finally {
    setfsuidFn(uid);
    setfsgidFn(gid);
    check(prctlFn(PR_SET_SECUREBITS, bits) as number, "prctl", "PR_SET_SECUREBITS");
  }
}
