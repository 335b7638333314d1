/** The words of EXPOSE to `port/protocol`. Source: BuildKit's reading of `[ip:][hostPort:]port[-port][/protocol]`. */
import { isIP } from "node:net";
import { goQuote } from "../dockerfile/go-text.ts";
import { problem } from "../dockerfile/problem.ts";

export interface ExposedPorts {
  /** `80/tcp`, a range written out. */
  readonly ports: readonly string[];
  /** Not in lower case as written. */
  readonly oddProtocol: boolean;
  /** Written with an address or a host port, which EXPOSE does not use. */
  readonly hasMapping: boolean;
}

function splitParts(text: string): { readonly ip: string; readonly hostPort: string; readonly port: string } {
  const parts = text.split(":");
  const port = parts.pop() ?? "";
  const hostPort = parts.pop() ?? "";
  return { ip: parts.join(":"), hostPort, port };
}

function portNumber(text: string): number | undefined {
  const value = /^[+-]?[0-9]+$/.test(text) ? Number(text) : -1;
  return value >= 0 && value <= 65_535 ? value : undefined;
}

function portRange(text: string): { readonly first: number; readonly last: number } | undefined {
  const dash = text.indexOf("-");
  const first = portNumber(dash < 0 ? text : text.slice(0, dash));
  const last = dash < 0 ? first : portNumber(text.slice(dash + 1));
  return first === undefined || last === undefined || last < first ? undefined : { first, last };
}

/** @throws build/invalid */
export function parseExposedPorts(text: string): ExposedPorts {
  const { ip, hostPort, port: portAndProtocol } = splitParts(text);
  const slash = portAndProtocol.indexOf("/");
  const port = slash < 0 ? portAndProtocol : portAndProtocol.slice(0, slash);
  const given = slash < 0 ? "" : portAndProtocol.slice(slash + 1);
  const protocol = given === "" ? "tcp" : given.toLowerCase();
  if (port === "") throw problem(`invalid port: ${goQuote(text)}: no port specified`);
  if (protocol !== "tcp" && protocol !== "udp" && protocol !== "sctp")
    throw problem(`invalid port: ${goQuote(text)}: invalid proto: ${given}`, "use tcp, udp or sctp");
  const address = ip.startsWith("[") && ip.endsWith("]") ? ip.slice(1, -1) : ip;
  if (ip !== "" && isIP(address) === 0) throw problem(`invalid IP address: ${address}`);
  const range = portRange(port);
  if (range === undefined) throw problem(`invalid containerPort: ${port}`);
  const hostRange = hostPort === "" ? undefined : portRange(hostPort);
  if (hostPort !== "" && hostRange === undefined) throw problem(`invalid hostPort: ${hostPort}`);
  const span = range.last - range.first;
  if (hostRange !== undefined && span !== 0 && span !== hostRange.last - hostRange.first)
    throw problem(`invalid ranges specified for container and host Ports: ${port} and ${hostPort}`);
  const ports = Array.from({ length: span + 1 }, (_, index) => `${range.first + index}/${protocol}`);
  return { ports, oddProtocol: given !== given.toLowerCase(), hasMapping: ip !== "" || hostPort !== "" };
}
