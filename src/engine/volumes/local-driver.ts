/** The `local` driver's options: a volume that is a mount of something (`type`, `device`, `o`) instead of a plain directory.
 *  Deciding (`checkDriverOptions`, `planVolumeMount`) is pure, `mountVolume` does it. Source: Docker's local volume driver, mount(8). */
import { lookup } from "node:dns/promises";
import { errorMessage, TscomposeError } from "../../errors.ts";
import { MNT_DETACH, mount, MS_BIND, MS_RDONLY, MS_REC, MS_REMOUNT, syscallErrno, umount } from "../../host/libc.ts";

export type DriverOptions = Readonly<Record<string, string>>;

/** Mount flags by option name: [set, clear]. Source: mount(8) "filesystem-independent mount options", linux/mount.h. */
const flagOptions: Readonly<Record<string, readonly [set: number, clear: number]>> = {
  defaults: [0, 0],
  ro: [MS_RDONLY, 0],
  rw: [0, MS_RDONLY],
  nosuid: [0x2, 0],
  suid: [0, 0x2],
  nodev: [0x4, 0],
  dev: [0, 0x4],
  noexec: [0x8, 0],
  exec: [0, 0x8],
  sync: [0x10, 0],
  async: [0, 0x10],
  mand: [0x40, 0],
  nomand: [0, 0x40],
  dirsync: [0x80, 0],
  noatime: [0x400, 0],
  atime: [0, 0x400],
  nodiratime: [0x800, 0],
  diratime: [0, 0x800],
  bind: [MS_BIND, 0],
  rbind: [MS_BIND | MS_REC, 0],
  relatime: [0x200000, 0],
  norelatime: [0, 0x200000],
  strictatime: [0x1000000, 0],
  nostrictatime: [0, 0x1000000],
};

export interface VolumeMountPlan {
  readonly type: string;
  readonly device: string;
  readonly flags: number;
  /** For the file system, without flags. */
  readonly data: readonly string[];
}

/** @throws request/invalid, with Docker's texts, for options that the driver does not know or that need another one */
export function checkDriverOptions(name: string, options: DriverOptions): void {
  for (const key of Object.keys(options)) {
    if (key === "size") {
      throw new TscomposeError("request/unsupported", `create ${name}: quota size requested but no quota support`, {
        hint: "use type=tmpfs with o=size=..., or leave the size option out",
      });
    }
    if (!["type", "o", "device"].includes(key)) {
      throw new TscomposeError("request/invalid", `create ${name}: invalid option: ${JSON.stringify(key)}`);
    }
  }
  if (options["device"] === undefined && options["type"] === undefined && options["o"] === undefined) return;
  for (const key of ["type", "device"]) {
    if (options[key] === undefined) {
      throw new TscomposeError("request/invalid", `create ${name}: missing required option: ${JSON.stringify(key)}`);
    }
  }
}

/** Undefined for a volume that is a plain directory. */
export function planVolumeMount(options: DriverOptions): VolumeMountPlan | undefined {
  const { type, device } = { type: options["type"], device: options["device"] };
  if (type === undefined || device === undefined) return undefined;
  let flags = 0;
  const data: string[] = [];
  for (const option of (options["o"] ?? "").split(",").filter((text) => text !== "")) {
    const flag = Object.hasOwn(flagOptions, option) ? flagOptions[option] : undefined;
    if (flag === undefined) data.push(option);
    else flags = (flags | flag[0]) & ~flag[1];
  }
  return { type, device, flags, data };
}

/** @throws container/start-failed, naming volume, device and reason */
export async function mountVolume(name: string, plan: VolumeMountPlan, target: string): Promise<void> {
  try {
    const data = (await resolveServer(plan)).join(",");
    mount(plan.device, target, { type: plan.type, flags: plan.flags, ...(data === "" ? {} : { data }) });
    // A bind ignores other flags when it is made: they take a remount.
    const others = plan.flags & ~(MS_BIND | MS_REC);
    if ((plan.flags & MS_BIND) !== 0 && others !== 0) mount("", target, { flags: plan.flags | MS_REMOUNT });
  } catch (error) {
    const reason = syscallErrno(error) ?? errorMessage(error);
    const message = `error while mounting volume ${name}: failed to mount local volume: mount ${plan.device} (${plan.type}): ${reason}`;
    throw new TscomposeError("container/start-failed", message, {
      cause: error,
      hint:
        reason === "ENOENT"
          ? `create ${plan.device} first, or correct the volume's device option`
          : "check the volume's driver options",
    });
  }
}

/** Unmounts; what is not mounted is fine. */
export function unmountVolume(target: string): void {
  try {
    umount(target, MNT_DETACH);
  } catch (error) {
    if (syscallErrno(error) !== "EINVAL" && syscallErrno(error) !== "ENOENT") throw error;
  }
}

/** The kernel's network file systems want an address where people write a host name. */
async function resolveServer(plan: VolumeMountPlan): Promise<readonly string[]> {
  if (!["nfs", "nfs4", "cifs"].includes(plan.type)) return plan.data;
  return Promise.all(
    plan.data.map(async (option) => {
      const host = /^addr=(.+)$/.exec(option)?.[1];
      return host === undefined ? option : `addr=${(await lookup(host)).address}`;
    }),
  );
}
