/** `x-host-access`: ports of the host's 127.0.0.1 that a service may reach at host.docker.internal. An extension of ours. Pure. */
import type { Service } from "./model.ts";

export const hostAccessKey = "x-host-access";

export interface HostPort {
  readonly port: number;
  readonly protocol: "tcp" | "udp";
}

/** `5432`, `"5432"`, `"53/udp"`. */
export function parseHostPort(entry: unknown): HostPort | undefined {
  const text = typeof entry === "number" || typeof entry === "string" ? String(entry) : "";
  const [, digits = "", protocol = "tcp"] = /^(\d{1,5})(?:\/(tcp|udp))?$/.exec(text) ?? [];
  const port = Number(digits);
  return digits !== "" && port >= 1 && port <= 65_535
    ? { port, protocol: protocol as HostPort["protocol"] }
    : undefined;
}

/** Of a checked service; empty: none. */
export function hostAccessOf(service: Service): readonly HostPort[] {
  const entries: unknown = service[hostAccessKey];
  return Array.isArray(entries) ? entries.flatMap((entry) => parseHostPort(entry) ?? []) : [];
}
