/** Port requests -> held ports, all or none. A request without an address is held in both families under one number. */
import { TscomposeError } from "../../errors.ts";
import { formatAddress, parseAddress, type Address } from "../cidr.ts";
import type { PortRequest } from "../types.ts";
import { holdPort, releasePort, type HeldPort, type Protocol } from "./held-port.ts";
import { findPortOwner } from "./port-owner.ts";

export interface ClaimedPort {
  readonly request: PortRequest;
  readonly hostPort: number;
  readonly held: readonly HeldPort[];
}
/** Who of this engine holds a port: `container web`. */
export type NameOwner = (protocol: Protocol, port: number) => string | undefined;

export const anyIpv4: Address = { family: 4, value: 0n };
export const anyIpv6: Address = { family: 6, value: 0n };
const ephemeralAttempts = 50;

/** @throws port/in-use with Docker's words and, where known, the owner; request/invalid for an address that is none */
export function claimPorts(requests: readonly PortRequest[], ownerOf: NameOwner): readonly ClaimedPort[] {
  const claimed: ClaimedPort[] = [];
  try {
    // Fixed ports first: an ephemeral one must not take what another request of the same container names.
    const order = requests
      .map((request, index) => ({ request, index }))
      .toSorted((a, b) => width(a.request) - width(b.request));
    const done = order.map(({ request, index }) => {
      const claim = claimPort(request, ownerOf);
      claimed.push(claim);
      return { claim, index };
    });
    return done.toSorted((a, b) => a.index - b.index).map(({ claim }) => claim);
  } catch (error) {
    releaseClaims(claimed);
    throw error;
  }
}

export function releaseClaims(claims: readonly ClaimedPort[]): void {
  for (const { held } of claims) held.forEach(releasePort);
}

const width = (request: PortRequest): number =>
  request.hostPort === 0 ? Number.MAX_SAFE_INTEGER : request.hostPortEnd - request.hostPort;

function claimPort(request: PortRequest, ownerOf: NameOwner): ClaimedPort {
  const addresses = hostAddresses(request.hostIp);
  if (request.hostPort === 0) return claimEphemeral(request, addresses);
  for (let port = request.hostPort; port <= request.hostPortEnd; port += 1) {
    const held = holdAll(request, addresses, port);
    if (held !== "taken") return { request, hostPort: port, held };
  }
  throw portInUse(request, addresses, ownerOf);
}

function claimEphemeral(request: PortRequest, addresses: readonly Address[]): ClaimedPort {
  for (let attempt = 0; attempt < ephemeralAttempts; attempt += 1) {
    const [first = anyIpv4] = addresses;
    const probe = holdPort(request.protocol, first, 0);
    if (probe === "taken") break;
    if (probe === "no-address") throw noAddress(request);
    const rest = holdAll(request, addresses.slice(1), probe.port);
    if (rest !== "taken") return { request, hostPort: probe.port, held: [probe, ...rest] };
    releasePort(probe);
  }
  throw new TscomposeError("port/in-use", "all ephemeral ports are allocated: address already in use", {
    details: { protocol: request.protocol },
    hint: "widen net.ipv4.ip_local_port_range, or publish a fixed port",
  });
}

/** "taken" when one of the addresses is, with nothing held. A family the host lacks is left out unless it was asked for. */
function holdAll(request: PortRequest, addresses: readonly Address[], port: number): readonly HeldPort[] | "taken" {
  const held: HeldPort[] = [];
  for (const address of addresses) {
    const result = holdPort(request.protocol, address, port);
    if (typeof result === "object") held.push(result);
    else {
      if (result === "no-address" && request.hostIp === "") continue;
      held.forEach(releasePort);
      if (result === "no-address") throw noAddress(request);
      return "taken";
    }
  }
  return held;
}

function hostAddresses(hostIp: string): readonly Address[] {
  if (hostIp === "") return [anyIpv4, anyIpv6];
  const address = parseAddress(hostIp.replace(/^\[(.*)\]$/, "$1"));
  if (address !== undefined) return [address];
  throw new TscomposeError("request/invalid", `invalid host address ${JSON.stringify(hostIp)} of a published port`, {
    hint: "give an IP address of this host, as in 127.0.0.1:8080:80",
  });
}

function noAddress(request: PortRequest): TscomposeError {
  return new TscomposeError(
    "port/in-use",
    `cannot bind ${request.hostIp}:${request.hostPort}: cannot assign requested address`,
    {
      details: { address: request.hostIp, port: request.hostPort, protocol: request.protocol },
      hint: `this host has no address ${request.hostIp}; \`ip addr\` lists those it has`,
    },
  );
}

function portInUse(request: PortRequest, addresses: readonly Address[], ownerOf: NameOwner): TscomposeError {
  const { hostPort, hostPortEnd, protocol } = request;
  const range = hostPort === hostPortEnd ? `${hostPort}` : `${hostPort}-${hostPortEnd}`;
  const [first = anyIpv4] = addresses;
  const bind = `${first.family === 6 ? `[${formatAddress(first)}]` : formatAddress(first)}:${range}`;
  const container = ownerOf(protocol, hostPort);
  const owner = container ?? findPortOwner(protocol, hostPort, request.hostIp === "" ? undefined : first);
  const details = {
    address: formatAddress(first),
    port: hostPort,
    protocol,
    ...(owner === undefined ? {} : { owner }),
  };
  const by = owner === undefined ? "" : ` by ${owner}`;
  // Docker says the first for its own containers and the second for everything else; scripts look for these words.
  const message =
    container === undefined
      ? `failed to bind host port ${bind}/${protocol}: address already in use${by}`
      : `Bind for ${bind} failed: port is already allocated${by}`;
  return new TscomposeError("port/in-use", message, {
    details,
    hint: owner === undefined ? "choose another host port" : `stop ${owner}, or choose another host port`,
  });
}
