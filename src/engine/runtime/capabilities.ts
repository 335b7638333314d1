/** Linux capabilities: names, Docker's default set, and what cap_add, cap_drop and privileged make of it. Pure.
 *  Source: capabilities(7) of Linux 5.9 and later; security.md 1.1. */
import { TscomposeError } from "../../errors.ts";

/** By number. */
export const capabilityNames: readonly string[] = (
  "CHOWN DAC_OVERRIDE DAC_READ_SEARCH FOWNER FSETID KILL SETGID SETUID SETPCAP LINUX_IMMUTABLE NET_BIND_SERVICE " +
  "NET_BROADCAST NET_ADMIN NET_RAW IPC_LOCK IPC_OWNER SYS_MODULE SYS_RAWIO SYS_CHROOT SYS_PTRACE SYS_PACCT SYS_ADMIN " +
  "SYS_BOOT SYS_NICE SYS_RESOURCE SYS_TIME SYS_TTY_CONFIG MKNOD LEASE AUDIT_WRITE AUDIT_CONTROL SETFCAP MAC_OVERRIDE " +
  "MAC_ADMIN SYSLOG WAKE_ALARM BLOCK_SUSPEND AUDIT_READ PERFMON BPF CHECKPOINT_RESTORE"
)
  .split(" ")
  .map((name) => `CAP_${name}`);

const defaults: ReadonlySet<string> = new Set(
  (
    "CHOWN DAC_OVERRIDE FSETID FOWNER MKNOD NET_RAW SETGID SETUID SETFCAP SETPCAP NET_BIND_SERVICE SYS_CHROOT KILL " +
    "AUDIT_WRITE"
  )
    .split(" ")
    .map((name) => `CAP_${name}`),
);

/** `ALL`, or the full name of a capability written with or without CAP_, in any case. @throws request/invalid */
export function normaliseCapability(text: string): string {
  const upper = text.toUpperCase();
  if (upper === "ALL" || upper === "CAP_ALL") return "ALL";
  const name = upper.startsWith("CAP_") ? upper : `CAP_${upper}`;
  if (capabilityNames.includes(name)) return name;
  throw new TscomposeError("request/invalid", `invalid capability: unknown capability: ${JSON.stringify(text)}`, {
    hint: "see capabilities(7) for the names",
  });
}

export interface CapabilityWishes {
  readonly privileged: boolean;
  readonly add: readonly string[];
  readonly drop: readonly string[];
  /** What the engine itself may hand on: bit n is capability n. */
  readonly available: bigint;
}

/** The bounding set, in order of number. `ALL` means all that the engine has.
 *  @throws request/invalid, host/unsupported for one asked for by name that the engine lacks itself */
export function decideCapabilities(wishes: CapabilityWishes): readonly string[] {
  const held = capabilityNames.filter((_, number) => (wishes.available >> BigInt(number)) & 1n);
  const add = wishes.add.map(normaliseCapability);
  const drop = new Set(wishes.drop.map(normaliseCapability));
  const lacking = add.find((name) => name !== "ALL" && !held.includes(name));
  if (lacking !== undefined) {
    throw new TscomposeError("host/unsupported", `capability ${lacking} cannot be added: the engine does not have it`, {
      hint: "leave it out, or run the engine where it has all capabilities",
    });
  }
  if (wishes.privileged) return held;
  const all = add.includes("ALL");
  return held.filter((name) => {
    if (add.includes(name)) return true;
    if (drop.has(name)) return false;
    if (all) return true;
    return defaults.has(name) && !drop.has("ALL");
  });
}
