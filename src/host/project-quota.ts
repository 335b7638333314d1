/** Limits of directory trees by project quotas, which xfs and ext4 have when they are mounted with them. A tree is a project: a number that
 *  what is made in it inherits. Source: quotactl_fd(2), ioctl_xfs_fsgetxattr(2), Linux include/uapi/linux/dqblk_xfs.h. */
import { closeSync, constants as flags, openSync, readFileSync, statSync } from "node:fs";
import { constants } from "node:os";
import { koffi, libc, O_DIRECTORY, throwErrno } from "./libc.ts";

const ioctlFn = libc.func("ioctl", "int", ["int", "unsigned long", "_Inout_ uint8_t *"]);
const quotactlFdFn = libc.func("syscall", "long", ["long", "int", "unsigned int", "unsigned int", "_Inout_ uint8_t *"]);
/** The same on every architecture. */
const quotactlFdNumber = 443;
const FS_IOC_FSGETXATTR = 0x801c581f;
const FS_IOC_FSSETXATTR = 0x401c5820;
const FS_XFLAG_PROJINHERIT = 0x200;
const PRJQUOTA = 2;
const Q_XGETQUOTA = 0x5803;
const Q_XSETQLIM = 0x5804;
const FS_DQ_BHARD = 1 << 3;
const FS_PROJ_QUOTA = 2;
const attributeBytes = 28;
const quotaBytes = 112;
const blockBytes = 512;
const probes = 100;

/** Why trees in `path` cannot be limited; undefined: they can. */
export function projectQuotaObstacle(path: string): string | undefined {
  const { type, source, options } = mountOf(path);
  const where = `the ${type} of ${path} (${source})`;
  if (type !== "xfs" && type !== "ext4") return `${where} has no project quotas: xfs and ext4 have them`;
  const on = ["prjquota", "pquota"].some((option) => options.includes(option));
  if (!on) return `${where} is mounted without project quotas (option prjquota)`;
  return withDirectory(path, (fd) => (quota(fd, Q_XGETQUOTA, 1, Buffer.alloc(quotaBytes)) ? undefined : reason(where)));
}

function reason(where: string): string | undefined {
  const errno = koffi.errno();
  // No limit is set for that number: quotas as such work.
  if (errno === constants.errno.ENOENT || errno === constants.errno.ESRCH) return undefined;
  const name = Object.entries(constants.errno).find(([, number]) => number === errno)?.[0] ?? `error ${errno}`;
  return `this kernel does not tell about the project quotas of ${where}: ${name} (it needs Linux 5.14 and CONFIG_QFMT_V2 or CONFIG_XFS_QUOTA)`;
}

/** Makes the (empty) directories one project with room for `bytes`. `seed`: hexadecimal, picks the number. @throws the system's error */
export function limitTrees(paths: readonly string[], bytes: number, seed: string): void {
  const [first = ""] = paths;
  const project = withDirectory(first, (fd) => freeProject(fd, seed));
  for (const path of paths) withDirectory(path, (fd) => setProject(fd, project));
  withDirectory(first, (fd) => setLimit(fd, project, bytes));
}

/** The number of the project that the directory belongs to; 0: none. */
export function projectOf(path: string): number {
  return withDirectory(path, (fd) => attributes(fd).readUInt32LE(12));
}

/** `path`: anywhere on that file system. */
export function forgetProject(path: string, project: number): void {
  if (project !== 0) withDirectory(path, (fd) => setLimit(fd, project, 0));
}

function freeProject(fd: number, seed: string): number {
  const first = 0x100000 + Number.parseInt(seed.slice(0, 7), 16);
  for (let project = first; project < first + probes; project++) {
    const state = Buffer.alloc(quotaBytes);
    if (!quota(fd, Q_XGETQUOTA, project, state)) return project;
    if (state.readBigUInt64LE(8) === 0n && state.readBigUInt64LE(40) === 0n) return project;
  }
  throw new Error(`no project number is free between ${first} and ${first + probes}`);
}

function setProject(fd: number, project: number): void {
  const data = attributes(fd);
  data.writeUInt32LE(data.readUInt32LE(0) | FS_XFLAG_PROJINHERIT, 0);
  data.writeUInt32LE(project, 12);
  if ((ioctlFn(fd, FS_IOC_FSSETXATTR, data) as number) !== 0) throwErrno("ioctl", "FS_IOC_FSSETXATTR");
}

function attributes(fd: number): Buffer {
  const data = Buffer.alloc(attributeBytes);
  if ((ioctlFn(fd, FS_IOC_FSGETXATTR, data) as number) !== 0) throwErrno("ioctl", "FS_IOC_FSGETXATTR");
  return data;
}

function setLimit(fd: number, project: number, bytes: number): void {
  const data = Buffer.alloc(quotaBytes);
  data.writeInt8(1, 0);
  data.writeInt8(FS_PROJ_QUOTA, 1);
  data.writeUInt16LE(FS_DQ_BHARD, 2);
  data.writeUInt32LE(project, 4);
  data.writeBigUInt64LE(BigInt(Math.ceil(bytes / blockBytes)), 8);
  if (!quota(fd, Q_XSETQLIM, project, data)) throwErrno("quotactl_fd", "Q_XSETQLIM");
}

function quota(fd: number, command: number, project: number, data: Buffer): boolean {
  return Number(quotactlFdFn(quotactlFdNumber, fd, ((command << 8) | PRJQUOTA) >>> 0, project, data)) === 0;
}

function withDirectory<T>(path: string, work: (fd: number) => T): T {
  const fd = openSync(path, flags.O_RDONLY | O_DIRECTORY);
  try {
    return work(fd);
  } finally {
    closeSync(fd);
  }
}

/** Of the file system that the path is on. Source: proc_pid_mountinfo(5). */
function mountOf(path: string): {
  readonly type: string;
  readonly source: string;
  readonly options: readonly string[];
} {
  const { dev } = statSync(path);
  const device = `${(dev >>> 8) & 0xfff}:${(dev & 0xff) | ((dev >>> 12) & 0xfff00)}`;
  const lines = readFileSync("/proc/self/mountinfo", "utf8").split("\n");
  const [own = "", rest = ""] = (lines.find((line) => line.split(" ")[2] === device) ?? "").split(" - ");
  const [type = "unknown file system", source = device, superOptions = ""] = rest.split(" ");
  return { type, source, options: [...superOptions.split(","), ...(own.split(" ")[5] ?? "").split(",")] };
}
