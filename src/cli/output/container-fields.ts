import type { ContainerSummary, MountPoint, PortSummary } from "../../api/wire.ts";

/** At most `length` characters, the last of them an ellipsis where something was cut. Source: docker/cli, formatter.Ellipsis. */
export function ellipsis(text: string, length: number): string {
  const characters = Array.from(text);
  return characters.length <= length ? text : `${characters.slice(0, length - 1).join("")}…`;
}

/** In quotes, with `"` and `\` escaped as Go's strconv.Quote does; 20 characters unless in full. */
export function commandField(command: string, full: boolean): string {
  return JSON.stringify(full ? command : ellipsis(command, 20));
}

/** `0.0.0.0:9000-9001->9000-9001/tcp, [::]:80->80/tcp, 99/tcp`: neighbours with the same offset are joined.
 *  Source: docker/cli, formatter.DisplayablePorts. */
export function portsField(ports: readonly PortSummary[]): string {
  const groups = new Map<string, Range>();
  const done: string[] = [];
  const single: string[] = [];
  const sorted = ports.toSorted(
    (a, b) =>
      a.PrivatePort - b.PrivatePort ||
      compare(a.IP ?? "", b.IP ?? "") ||
      (a.PublicPort ?? 0) - (b.PublicPort ?? 0) ||
      compare(a.Type, b.Type),
  );
  for (const { IP: ip, PrivatePort: current, PublicPort: published = 0, Type: type } of sorted) {
    let key = type;
    if (ip !== undefined && ip !== "") {
      if (published !== current) {
        single.push(`${host(ip)}:${published}->${current}/${type}`);
        continue;
      }
      key = `${ip}/${type}`;
    }
    const group = groups.get(key);
    if (group !== undefined && current === group.last + 1) {
      group.last = current;
      continue;
    }
    if (group !== undefined) done.push(formatRange(key, group));
    groups.set(key, { first: current, last: current });
  }
  for (const [key, group] of groups) done.push(formatRange(key, group));
  return [...done, ...single].join(", ");
}

interface Range {
  readonly first: number;
  last: number;
}

function formatRange(key: string, { first, last }: Range): string {
  const range = first === last ? String(first) : `${first}-${last}`;
  const slash = key.lastIndexOf("/");
  return slash < 0 ? `${range}/${key}` : `${host(key.slice(0, slash))}:${range}->${range}${key.slice(slash)}`;
}

function host(ip: string): string {
  return ip.includes(":") ? `[${ip}]` : ip;
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

/** `2026-11-21 09:54:34 +0000 UTC`. */
export function createdAtField(unixSeconds: number): string {
  return `${new Date(unixSeconds * 1000).toISOString().slice(0, 19).replace("T", " ")} +0000 UTC`;
}

/** Names of volumes, sources of binds; 15 characters each unless in full. */
export function mountsField(mounts: readonly MountPoint[], full: boolean): string {
  const names = mounts.map(({ Name, Source }) => (Name === undefined || Name === "" ? Source : Name));
  return names.map((name) => (full ? name : ellipsis(name, 15))).join(",");
}

export function labelsField(labels: ContainerSummary["Labels"]): string {
  return Object.entries(labels)
    .map(([key, value]) => `${key}=${value}`)
    .join(",");
}
