/** Who a pid is: pid + start time + boot id. A bare pid may belong to somebody else by now (proc(5), field 22 of stat). */
import { readFileSync } from "node:fs";

export interface ProcessIdentity {
  readonly pid: number;
  /** Clock ticks after boot, as text: it may exceed 2^53 in theory and is only compared. */
  readonly startTime: string;
  readonly bootId: string;
}

let cachedBootId: string | undefined;
/** /proc/sys/kernel/random/boot_id. */
export function bootId(): string {
  cachedBootId ??= readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim();
  return cachedBootId;
}

/** State letter (`R`, `S`, `Z`, ...), parent and start time of a process; undefined when there is none. */
export function processStat(
  pid: number,
): { readonly state: string; readonly parent: number; readonly startTime: string } | undefined {
  let text: string;
  try {
    text = readFileSync(`/proc/${pid}/stat`, "latin1");
  } catch {
    return undefined;
  }
  // The command in parentheses may itself hold spaces and parentheses: fields are counted after the last ")".
  const fields = text.slice(text.lastIndexOf(")") + 2).split(" ");
  return { state: fields[0] ?? "", parent: Number(fields[1]), startTime: fields[19] ?? "" };
}

/** The identity of a process that runs now; undefined when there is none or it is a zombie. */
export function identifyProcess(pid: number): ProcessIdentity | undefined {
  const stat = processStat(pid);
  if (stat === undefined || stat.state === "Z" || stat.state === "X") return undefined;
  return { pid, startTime: stat.startTime, bootId: bootId() };
}

/** True while that very process runs (a zombie does not). */
export function isAlive(identity: ProcessIdentity): boolean {
  if (identity.bootId !== bootId()) return false;
  const now = identifyProcess(identity.pid);
  return now !== undefined && now.startTime === identity.startTime;
}
