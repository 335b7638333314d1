/** Counters of the machine and of network namespaces, from /proc. The parsers are pure. Source: proc(5). */
import { readFileSync } from "node:fs";
import { clockTicks } from "../../host/libc.ts";
import type { InterfaceCounters } from "./docker-stats.ts";

/** Nanoseconds of all CPUs since boot, and how many there are. */
export function readSystemCpu(): { readonly systemCpu: number; readonly onlineCpus: number } {
  return parseSystemCpu(readFileSync("/proc/stat", "latin1"));
}

/** Docker counts user, nice, system, idle, iowait, irq and softirq. */
export function parseSystemCpu(text: string): { readonly systemCpu: number; readonly onlineCpus: number } {
  const lines = text.split("\n");
  const fields = lines[0]?.trim().split(/\s+/).slice(1, 8) ?? [];
  const ticks = fields.reduce((sum, field) => sum + Number(field), 0);
  return {
    systemCpu: (ticks * 1e9) / clockTicks,
    onlineCpus: lines.filter((line) => /^cpu\d/.test(line)).length,
  };
}

/** Interfaces that a process sees, without loopback; empty when it is gone. */
export function readInterfaces(pid: number): Readonly<Record<string, InterfaceCounters>> {
  try {
    return parseInterfaces(readFileSync(`/proc/${pid}/net/dev`, "latin1"));
  } catch {
    return {};
  }
}

export function parseInterfaces(text: string): Readonly<Record<string, InterfaceCounters>> {
  const found: Record<string, InterfaceCounters> = {};
  for (const line of text.split("\n").slice(2)) {
    const [name, counters] = line.split(":");
    if (name === undefined || counters === undefined || name.trim() === "lo") continue;
    const n = counters.trim().split(/\s+/).map(Number);
    const at = (index: number): number => n[index] ?? 0;
    found[name.trim()] = {
      rx_bytes: at(0),
      rx_packets: at(1),
      rx_errors: at(2),
      rx_dropped: at(3),
      tx_bytes: at(8),
      tx_packets: at(9),
      tx_errors: at(10),
      tx_dropped: at(11),
    };
  }
  return found;
}
