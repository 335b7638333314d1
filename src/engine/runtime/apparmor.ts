/** The AppArmor profile that containers get by default, and how it comes into the kernel. It stands behind the other defences:
 *  what the mounts, the seccomp filter and the capabilities forbid, it forbids once more, by path.
 *  Source: apparmor.d(5), apparmor_parser(8); security.md 1.8. */
import { readFileSync } from "node:fs";
import { errorMessage, TscomposeError } from "../../errors.ts";
import { runCommand } from "../../host/command.ts";
import type { HostProfile } from "./host-profile.ts";
import type { RuntimeSpec } from "./spec-types.ts";

export const defaultAppArmorProfile = "tscompose-default";
/** Docker's name for its own, which requests mean the engine's default by. */
const dockerProfile = "docker-default";

/** What a container runs under; undefined: nothing, because the host has none to give. `asked`: as in `security_opt`. */
export function appArmorProfileOf(
  host: Pick<HostProfile, "appArmor" | "appArmorParser">,
  privileged: boolean,
  asked: string | undefined,
): string | undefined {
  if (!host.appArmor) return undefined;
  if (asked !== undefined) return asked === dockerProfile ? defaultAppArmorProfile : asked;
  if (privileged) return "unconfined";
  return host.appArmorParser ? defaultAppArmorProfile : undefined;
}

/** A profile that was asked for by name must be there. @throws host/unsupported */
export function checkAppArmor(host: Pick<HostProfile, "appArmor" | "appArmorParser">, asked: string | undefined): void {
  if (asked === undefined || asked === "unconfined") return;
  if (!host.appArmor) {
    throw new TscomposeError("host/unsupported", `AppArmor profile ${asked}: this kernel has no AppArmor`, {
      hint: "leave the apparmor option out, or boot a kernel with AppArmor",
    });
  }
  const name = appArmorProfileOf(host, false, asked) ?? "";
  const loaded = loadedAppArmorProfiles();
  if (loaded === undefined || loaded.has(name)) return;
  if (name !== defaultAppArmorProfile) {
    throw new TscomposeError("host/unsupported", `AppArmor profile ${asked}: the kernel has no profile of that name`, {
      hint: `load it: apparmor_parser -r <file with profile ${asked}>`,
    });
  }
  if (host.appArmorParser) return; // loaded at the start
  throw new TscomposeError("host/unsupported", `AppArmor profile ${asked}: apparmor_parser is not installed`, {
    hint: "install it: apt-get install apparmor",
  });
}

/** Below /proc a container may write what belongs to processes (a number) and the shared memory limits; below /sys its cgroups. */
const neverWritten = [
  "/proc/*",
  "/proc/[^1-9s]*/**",
  "/proc/s[^y]*/**",
  "/proc/sysvipc/**",
  "/proc/sys/[^k]*/**",
  "/proc/sys/k[^e]*/**",
  "/proc/sys/ke[^r]*/**",
  "/proc/sys/kernel/[^s]**",
  "/proc/sys/kernel/s[^h]**",
  "/proc/sys/kernel/sh[^m]**",
  "/sys/[^f]*/**",
  "/sys/f[^s]*/**",
  "/sys/fs/[^c]*/**",
  "/sys/fs/c[^g]*/**",
];
const neverTouched = [
  "/proc/sysrq-trigger",
  "/proc/kcore",
  "/sys/firmware/**",
  "/sys/devices/virtual/powercap/**",
  "/sys/kernel/security/**",
];

/** In the language of apparmor_parser 2.13 and later. Pure. */
export function appArmorProfileText(name: string): string {
  const lines = [
    "file,",
    "capability,",
    "network,",
    "unix,",
    "umount,",
    // The one hole that the seccomp filter has for 32-bit programs (CVE-2026-31431).
    "deny network alg,",
    "deny mount,",
    ...neverWritten.map((path) => `deny ${path} wkl,`),
    ...neverTouched.map((path) => `deny ${path} rwklx,`),
    // Who stops a container is not confined; inside, its processes may do as they like with each other.
    ...["unconfined", "crun", "runc", "conmon"].map((peer) => `signal (receive) peer=${peer},`),
    `signal (send, receive) peer=${name},`,
    `ptrace (trace, read, tracedby, readby) peer=${name},`,
  ];
  return `profile ${name} flags=(attach_disconnected, mediate_deleted) {\n${lines.map((line) => `  ${line}\n`).join("")}}\n`;
}

/** Names of the profiles that the kernel has; undefined: it does not say. */
function loadedAppArmorProfiles(): ReadonlySet<string> | undefined {
  try {
    const text = readFileSync("/sys/kernel/security/apparmor/profiles", "utf8");
    return new Set(text.split("\n").map((line) => line.replace(/ \([a-z]+\)$/, "")));
  } catch {
    return undefined;
  }
}

/** Loads the default profile if a container is about to use it and the kernel does not have it: others may unload it.
 *  @throws host/unsupported */
export async function ensureAppArmor(spec: RuntimeSpec): Promise<void> {
  const wanted = spec.process.apparmorProfile;
  if (wanted !== defaultAppArmorProfile || loadedAppArmorProfiles()?.has(wanted) === true) return;
  try {
    await runCommand(["apparmor_parser", "-K", "-r"], { input: appArmorProfileText(wanted), timeoutMs: 60_000 });
  } catch (error) {
    throw new TscomposeError(
      "host/unsupported",
      `the AppArmor profile ${wanted} cannot be loaded: ${errorMessage(error)}`,
      {
        cause: error,
        hint: "repair AppArmor, or add security_opt apparmor=unconfined",
      },
    );
  }
}
