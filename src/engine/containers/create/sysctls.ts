/** Kernel parameters of a container: only those that belong to a namespace of its own. Pure.
 *  Source: namespaces(7), ipc_namespaces(7); Docker's whitelist; security.md 1.9. */
import { TscomposeError } from "../../../errors.ts";
import type { HostConfig } from "../../types.ts";

const ipcSysctls: readonly string[] = [
  "kernel.msgmax",
  "kernel.msgmnb",
  "kernel.msgmni",
  "kernel.sem",
  "kernel.shmall",
  "kernel.shmmax",
  "kernel.shmmni",
  "kernel.shm_rmid_forced",
];

export const isNetworkSysctl = (name: string): boolean => name.startsWith("net.");

/** @throws request/invalid naming the parameter */
export function checkSysctls(config: HostConfig): void {
  for (const [name, value] of Object.entries(config.Sysctls ?? {})) {
    // Part of a path below /proc/sys: no way up, no absolute name.
    if (!/^[a-z0-9_]+([./][a-zA-Z0-9_-]+)+$/.test(name) || /[\0\n]/.test(value)) throw invalid(name, "it is malformed");
    const ipc = ipcSysctls.includes(name) || name.startsWith("fs.mqueue.");
    if (isNetworkSysctl(name)) {
      if (config.NetworkMode === "host") throw invalid(name, "not allowed in host network namespace");
    } else if (ipc) {
      if (config.IpcMode === "host") throw invalid(name, "not allowed in host ipc namespace");
    } else {
      throw invalid(name, "it belongs to no namespace of the container, so it would change the host");
    }
  }
}

function invalid(name: string, reason: string): TscomposeError {
  return new TscomposeError("request/invalid", `sysctl ${JSON.stringify(name)}: ${reason}`, {
    hint: "use net.*, fs.mqueue.* or one of the System V ipc parameters",
  });
}
