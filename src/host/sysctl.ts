/** Kernel parameters through /proc/sys. Those below `net` belong to the namespace of the calling thread: wrap in `inNetns`. */
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { errorMessage, TscomposeError } from "../errors.ts";

/** `net.ipv4.ip_forward` as a path. A key that holds an interface name with dots is given with slashes instead. */
function pathOf(key: string): string {
  const path = key.includes("/") ? key : key.replaceAll(".", "/");
  if (
    !/^[A-Za-z0-9_./:@-]+$/.test(path) ||
    path.split("/").some((part) => part === "" || part === "." || part === "..")
  ) {
    throw new TscomposeError("request/invalid", `invalid sysctl name: ${JSON.stringify(key)}`);
  }
  return `/proc/sys/${path}`;
}

/** Without the newline; undefined when this kernel has no such parameter. */
export function readSysctl(key: string): string | undefined {
  const path = pathOf(key);
  return existsSync(path) ? readFileSync(path, "utf8").trim() : undefined;
}

/** @throws host/unsupported */
export function writeSysctl(key: string, value: string): void {
  try {
    writeFileSync(pathOf(key), value);
  } catch (error) {
    throw new TscomposeError("host/unsupported", `cannot set sysctl ${key} to ${value}: ${errorMessage(error)}`, {
      cause: error,
    });
  }
}

/** Nothing where this kernel has no such parameter (IPv6 or br_netfilter compiled out). */
export function writeSysctlIfPresent(key: string, value: string): void {
  if (existsSync(pathOf(key))) writeSysctl(key, value);
}
