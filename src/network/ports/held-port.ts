/** A host port that nobody else can take: a bound socket of the engine. Two engines, or an engine and a program of the host, that
 *  want the same port are told apart by the kernel, with nothing half done. Source: ip(7), socket(7), tcp(7). */
import { closeSync } from "node:fs";
import { isTscomposeError, TscomposeError } from "../../errors.ts";
import * as libc from "../../host/libc.ts";
import { internetAddress, portOf } from "../../host/socket-address.ts";
import { addressBytes, formatAddress, type Address, type Family } from "../cidr.ts";

export type Protocol = "tcp" | "udp" | "sctp";
export interface HeldPort {
  readonly family: Family;
  readonly protocol: Protocol;
  readonly address: Address;
  readonly port: number;
  /** Bound, not listening. Whoever takes it over closes it. undefined: this kernel has no such protocol, nothing is held. */
  readonly fd: number | undefined;
}

export type HoldResult = HeldPort | "taken" | "no-address";

const IPPROTO_SCTP = 132;
const IPPROTO_IPV6 = 41;
const IPV6_V6ONLY = 26;
const one = Buffer.from([1, 0, 0, 0]);

/** @param port 0: any free one
 *  @returns "taken" when somebody has it; "no-address" when the host does not have this address or family
 *  @throws host/syscall-failed */
export function holdPort(protocol: Protocol, address: Address, port: number): HoldResult {
  const { family } = address;
  const fd = openSocket(protocol, family);
  if (fd === "no-family") return "no-address";
  if (fd === undefined) return { family, protocol, address, port, fd };
  try {
    if (family === 6) libc.setsockopt(fd, { level: IPPROTO_IPV6, name: IPV6_V6ONLY }, one);
    // Only connections that are long over stand in the way otherwise; a listener still does.
    if (protocol === "tcp") libc.setsockopt(fd, { level: libc.SOL_SOCKET, name: libc.SO_REUSEADDR }, one);
    libc.bind(fd, internetAddress(addressBytes(address), port));
    if (protocol === "tcp") libc.listen(fd, 511);
    return { family, protocol, address, port: port === 0 ? portOf(libc.getsockname(fd)) : port, fd };
  } catch (error) {
    closeSync(fd);
    const errno = libc.syscallErrno(error);
    if (errno === "EADDRINUSE") return "taken";
    if (errno === "EADDRNOTAVAIL") return "no-address";
    if (errno === "EACCES") throw notPermitted(address, port, error);
    throw error;
  }
}

function notPermitted(address: Address, port: number, cause: unknown): TscomposeError {
  return new TscomposeError("host/permission", `not allowed to bind ${formatAddress(address)}:${port}`, {
    cause,
    hint: "choose a port above 1023, or run the engine as root",
  });
}

function openSocket(protocol: Protocol, family: Family): number | "no-family" | undefined {
  const domain = family === 4 ? libc.AF_INET : libc.AF_INET6;
  try {
    if (protocol === "udp") return libc.socket(domain, libc.SOCK_DGRAM);
    return libc.socket(domain, libc.SOCK_STREAM, protocol === "sctp" ? IPPROTO_SCTP : 0);
  } catch (error) {
    if (!isTscomposeError(error, "host/syscall-failed")) throw error;
    if (protocol === "sctp") return undefined;
    if (libc.syscallErrno(error) === "EAFNOSUPPORT") return "no-family";
    throw error;
  }
}

export function releasePort(held: HeldPort): void {
  if (held.fd !== undefined) closeSync(held.fd);
}
