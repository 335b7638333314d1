/** Port requests -> held ports, all or none. A request without an address is held in both families under one number. */
import { TscomposeError } from "../../errors.ts";
import { formatAddress, parseAddress, type Address } from "../cidr.ts";
import type { PortRequest } from "../types.ts";
import type { HeldPort, HoldResult, Protocol } from "./held-port.ts";
import { findPortOwner } from "./port-owner.ts";

export interface ClaimedPort {
  readonly request: PortRequest;
  readonly hostPort: number;
  readonly held: readonly HeldPort[];
}
/** Takes ports for one container. */
export interface PortHolder {
  /** Addresses that a request without one means. */
  readonly anyAddresses: readonly Address[];
  /** Who of this engine holds a port: `container web`. */
  ownerOf(protocol: Protocol, port: number): string | undefined;
  /** @param port 0: any free one. @throws host/syscall-failed */
  hold(request: PortRequest, address: Address, port: number): HoldResult;
  release(held: HeldPort): void;
}

export const anyIpv4: Address = { family: 4, value: 0n };
export const anyIpv6: Address = { family: 6, value: 0n };
const ephemeralAttempts = 50;

/** @throws port/in-use with Docker's words and, where known, the owner; request/invalid for an address that is none */
export function claimPorts(requests: readonly PortRequest[], holder: PortHolder): readonly ClaimedPort[] {
  const claimed: ClaimedPort[] = [];
  try {
    // Fixed ports first: an ephemeral one must not take what another request of the same container names.
    const order = requests
      .map((request, index) => ({ request, index }))
      .toSorted((a, b) => width(a.request) - width(b.request));
    const done = order.map(({ request, index }) => {
      const claim = claimPort(request, holder);
      claimed.push(claim);
      return { claim, index };
    });
    return done.toSorted((a, b) => a.index - b.index).map(({ claim }) => claim);
  } catch (error) {
    releaseClaims(claimed, holder);
    throw error;
  }
}

function releaseClaims(claims: readonly ClaimedPort[], holder: PortHolder): void {
  for (const { held } of claims) held.forEach((one) => holder.release(one));
}

const width = (request: PortRequest): number =>
  request.hostPort === 0 ? Number.MAX_SAFE_INTEGER : request.hostPortEnd - request.hostPort;

function claimPort(request: PortRequest, holder: PortHolder): ClaimedPort {
  const addresses = hostAddresses(request.hostIp, holder);
  if (request.hostPort === 0) return claimEphemeral(request, addresses, holder);
  for (let port = request.hostPort; port <= request.hostPortEnd; port += 1) {
    const held = holdAll(request, { addresses, port }, holder);
    if (held !== "taken") {
      if (held.length === 0) throw noAddress(request, addresses[0] ?? anyIpv4);
      return { request, hostPort: port, held };
    }
  }
  throw portInUse(request, addresses, holder);
}

function claimEphemeral(request: PortRequest, addresses: readonly Address[], holder: PortHolder): ClaimedPort {
  for (let attempt = 0; attempt < ephemeralAttempts; attempt += 1) {
    const [first = anyIpv4] = addresses;
    const probe = holder.hold(request, first, 0);
    if (probe === "taken") break;
    if (probe === "no-address") throw noAddress(request, first);
    const rest = holdAll(request, { addresses: addresses.slice(1), port: probe.port }, holder);
    if (rest !== "taken") return { request, hostPort: probe.port, held: [probe, ...rest] };
    holder.release(probe);
  }
  throw new TscomposeError("port/in-use", "all ephemeral ports are allocated: address already in use", {
    details: { protocol: request.protocol },
    hint: "widen net.ipv4.ip_local_port_range, or publish a fixed port",
  });
}

/** "taken" when one of the addresses is, with nothing held. A family the host lacks is left out unless it was asked for. */
function holdAll(
  request: PortRequest,
  at: { readonly addresses: readonly Address[]; readonly port: number },
  holder: PortHolder,
): readonly HeldPort[] | "taken" {
  const held: HeldPort[] = [];
  for (const address of at.addresses) {
    const result = holder.hold(request, address, at.port);
    if (typeof result === "object") held.push(result);
    else {
      if (result === "no-address" && request.hostIp === "") continue;
      held.forEach((one) => holder.release(one));
      if (result === "no-address") throw noAddress(request, address);
      return "taken";
    }
  }
  return held;
}

function hostAddresses(hostIp: string, holder: PortHolder): readonly Address[] {
  if (hostIp === "") return holder.anyAddresses;
  const address = parseAddress(hostIp.replace(/^\[(.*)\]$/, "$1"));
  if (address !== undefined) return [address];
  throw new TscomposeError("request/invalid", `invalid host address ${JSON.stringify(hostIp)} of a published port`, {
    hint: "give an IP address of this host, as in 127.0.0.1:8080:80",
  });
}

function noAddress(request: PortRequest, address: Address): TscomposeError {
  const text = formatAddress(address);
  const setting = request.hostIp === "" ? " (of TSCOMPOSE_PUBLISH_ADDRESS)" : "";
  return new TscomposeError("port/in-use", `cannot bind ${text}:${request.hostPort}: cannot assign requested address`, {
    details: { address: text, port: request.hostPort, protocol: request.protocol },
    hint: `this host has no address ${text}${setting}; \`ip addr\` lists those it has`,
  });
}

function portInUse(request: PortRequest, addresses: readonly Address[], holder: PortHolder): TscomposeError {
  const { hostPort, hostPortEnd, protocol } = request;
  const range = hostPort === hostPortEnd ? `${hostPort}` : `${hostPort}-${hostPortEnd}`;
  const [first = anyIpv4] = addresses;
  const bind = `${first.family === 6 ? `[${formatAddress(first)}]` : formatAddress(first)}:${range}`;
  const container = holder.ownerOf(protocol, hostPort);
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
