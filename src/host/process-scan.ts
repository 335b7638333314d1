/** Processes by their command line: the kernel's word on what runs. Source: proc(5). */
import { readdirSync, readFileSync } from "node:fs";
import { identifyProcess, type ProcessIdentity } from "./process-identity.ts";

export interface ScannedProcess {
  readonly identity: ProcessIdentity;
  readonly argv: readonly string[];
}

/** Every process whose command line holds `text` as part of one of its arguments. */
export function findProcesses(text: string): readonly ScannedProcess[] {
  return readdirSync("/proc").flatMap((name) => {
    const pid = Number(name);
    if (!Number.isInteger(pid) || pid === process.pid) return [];
    try {
      const commandLine = readFileSync(`/proc/${pid}/cmdline`, "utf8");
      if (!commandLine.includes(text)) return [];
      const identity = identifyProcess(pid);
      return identity === undefined ? [] : [{ identity, argv: commandLine.split("\0").slice(0, -1) }];
    } catch {
      return []; // it has ended meanwhile
    }
  });
}
