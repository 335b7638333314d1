/** `[IP:][HOST[-RANGE]:]CONTAINER[-RANGE][/PROTOCOL]`. Source: docker/go-connections, `nat`. */
export interface PortSpec {
  readonly hostIp: string;
  readonly target: number;
  /** "" where the host chooses. */
  readonly published: string;
  readonly protocol: string;
}

/** The message of what is wrong, or one port for each of a range. */
export function parsePortSpec(spec: string): PortSpec[] | string {
  const parts = spec.split(":");
  const containerPart = parts.at(-1) ?? "";
  const hostPart = parts.length > 1 ? (parts.at(-2) ?? "") : "";
  const hostIp = readHostIp(parts.slice(0, -2).join(":"));
  if (hostIp === undefined) return `invalid IP address: ${parts.slice(0, -2).join(":")}`;
  const [port = "", ...rest] = containerPart.split("/");
  const protocol = (port === "" ? "" : rest.join("/") || "tcp").toLowerCase();
  if (port === "") return `no port specified: ${spec}`;
  if (!["tcp", "udp", "sctp"].includes(protocol)) return `invalid protocol: ${protocol}`;
  const container = readRange(port);
  if (container === undefined) return `invalid container port: ${port}`;
  const host = hostPart === "" ? undefined : readRange(hostPart);
  if (hostPart !== "" && host === undefined) return `invalid host port: ${hostPart}`;
  const span = container.end - container.start;
  if (host !== undefined && span !== host.end - host.start && span !== 0) {
    return `ranges of different length: ${port} and ${hostPart}`;
  }
  return expand(container, host, { hostIp, protocol });
}

interface Range {
  readonly start: number;
  readonly end: number;
}

function expand(container: Range, host: Range | undefined, rest: { hostIp: string; protocol: string }): PortSpec[] {
  const single = container.start === container.end;
  const ports: PortSpec[] = [];
  for (let offset = 0; container.start + offset <= container.end; offset++) {
    let published = host === undefined ? "" : String(host.start + offset);
    if (host !== undefined && single && host.start !== host.end) published += `-${String(host.end)}`;
    ports.push({ ...rest, target: container.start + offset, published });
  }
  // Docker Compose sorts them as text.
  return ports.sort((a, b) => {
    const left = `${String(a.target)}/`;
    const right = `${String(b.target)}/`;
    return left < right ? -1 : left > right ? 1 : 0;
  });
}

function readRange(text: string): Range | undefined {
  const [first = "", second] = text.split("-");
  const start = readPort(first);
  const end = second === undefined ? start : readPort(second);
  return start === undefined || end === undefined || end < start ? undefined : { start, end };
}

function readPort(text: string): number | undefined {
  if (!/^[0-9]+$/.test(text)) return undefined;
  const port = Number(text);
  return port <= 65_535 ? port : undefined;
}

function readHostIp(text: string): string | undefined {
  if (text === "") return "";
  const bare = text.startsWith("[") ? /^\[([^\]]*)\]$/.exec(text)?.[1] : text;
  return bare !== undefined && isIpAddress(bare) ? bare : undefined;
}

const ipv4 = /^(?:0|[1-9][0-9]{0,2})(?:\.(?:0|[1-9][0-9]{0,2})){3}$/;

/** What Go's `net.ParseIP` takes: no zones, no leading zeros. */
export function isIpAddress(text: string): boolean {
  return text.includes(":") ? isIpv6(text) : isIpv4(text);
}

function isIpv4(text: string): boolean {
  return ipv4.test(text) && text.split(".").every((part) => Number(part) <= 255);
}

function isIpv6(text: string): boolean {
  const halves = text.split("::");
  if (halves.length > 2) return false;
  const groups = halves.map((half) => (half === "" ? [] : half.split(":")));
  const all = groups.flat();
  const tail = all.at(-1);
  let size = all.length;
  if (tail?.includes(".") === true) {
    if (!isIpv4(tail)) return false;
    size += 1;
    all.pop();
  }
  return all.every((group) => /^[0-9a-fA-F]{1,4}$/.test(group)) && (halves.length === 2 ? size < 8 : size === 8);
}
