/** Who holds a port of this host, for the message about a conflict. Source: proc(5), /proc/net/tcp. */
import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import type { Address } from "../cidr.ts";

/** `nginx (pid 4711)`; undefined when it cannot be found out. `address` undefined: any of its family. */
export function findPortOwner(protocol: string, port: number, address: Address | undefined): string | undefined {
  const inodes = new Set(
    [`/proc/net/${protocol}`, `/proc/net/${protocol}6`].flatMap((path) => inodesIn(path, port, address)),
  );
  if (inodes.size === 0) return undefined;
  for (const pid of list("/proc").filter((name) => /^\d+$/.test(name))) {
    for (const fd of list(`/proc/${pid}/fd`)) {
      const match = /^socket:\[(\d+)\]$/.exec(link(`/proc/${pid}/fd/${fd}`));
      if (match !== null && inodes.has(match[1] ?? "")) return `${read(`/proc/${pid}/comm`).trim()} (pid ${pid})`;
    }
  }
  return undefined;
}

function inodesIn(path: string, port: number, address: Address | undefined): readonly string[] {
  const tcp = path.includes("tcp");
  return read(path)
    .split("\n")
    .slice(1)
    .flatMap((line) => {
      const fields = line.trim().split(/\s+/);
      const [host = "", hexPort = ""] = (fields[1] ?? "").split(":");
      if (parseInt(hexPort, 16) !== port) return [];
      if (tcp && fields[3] !== "0A") return [];
      const any = /^0+$/.test(host);
      const mine = address === undefined || any || host === toProc(address);
      return mine && fields[9] !== undefined ? [fields[9]] : [];
    });
}

/** Words of four bytes, each in the host's order. */
function toProc(address: Address): string {
  const hex = address.value.toString(16).padStart(address.family === 4 ? 8 : 32, "0");
  return (hex.match(/.{8}/g) ?? [])
    .map((word) => (word.match(/../g) ?? []).toReversed().join(""))
    .join("")
    .toUpperCase();
}

function list(path: string): readonly string[] {
  try {
    return readdirSync(path);
  } catch {
    return [];
  }
}
function link(path: string): string {
  try {
    return readlinkSync(path);
  } catch {
    return "";
  }
}
function read(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return "";
  }
}
