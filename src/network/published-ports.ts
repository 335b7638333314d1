/** The published ports of one container: held on the host, translated by the firewall, forwarded by the engine where NAT cannot. */
import { formatAddress, parseAddress, type Address } from "./cidr.ts";
import { isLoopback, portRules, type PortTurn, type Rule } from "./firewall/rules.ts";
import { bridgeOptions } from "./network-record.ts";
import { gatewayEndpoint, type Endpoint } from "./plan-endpoint.ts";
import { claimPorts, type ClaimedPort, type PortHolder } from "./ports/claim-ports.ts";
import { forwardPort, type Forwarder, type NextTarget, type Target } from "./ports/forwarder.ts";
import { releasePort, type HeldPort } from "./ports/held-port.ts";
import type { BoundPort, PortRequest } from "./types.ts";

export interface PublishedPorts {
  readonly claims: readonly ClaimedPort[];
  readonly bound: readonly BoundPort[];
}
export const noPorts: PublishedPorts = { claims: [], bound: [] };

/** Where packets go: the endpoint that has the default route, if a bridge with a way out is behind it. */
export interface PortTarget {
  readonly ipv4: Endpoint | undefined;
  readonly ipv6: Endpoint | undefined;
}
export function portTarget(endpoints: Iterable<Endpoint>): PortTarget {
  const all = [...endpoints].filter(({ network }) => network.record.driver === "bridge" && !network.record.internal);
  return { ipv4: gatewayEndpoint(all, 4), ipv6: gatewayEndpoint(all, 6) };
}

/** Holds the ports; nothing is reachable yet. Without a target nothing is published, as with Docker.
 *  @throws port/in-use, request/invalid */
export function claimFor(requests: readonly PortRequest[], target: PortTarget, holder: PortHolder): PublishedPorts {
  if (target.ipv4 === undefined && target.ipv6 === undefined) return noPorts;
  const binding = target.ipv4 === undefined ? undefined : bridgeOptions(target.ipv4.network.record).hostBinding;
  const wanted = requests.map((request) =>
    request.hostIp === "" && binding !== undefined && binding !== "0.0.0.0" ? { ...request, hostIp: binding } : request,
  );
  const claims = claimPorts(wanted, holder);
  const bound = claims.flatMap(({ request, hostPort, held }) =>
    held.map(({ address }) => ({
      containerPort: request.containerPort,
      protocol: request.protocol,
      hostIp: request.hostIp === "" ? formatAddress(address) : request.hostIp,
      hostPort,
    })),
  );
  return { claims, bound };
}

/** What a port request looked like when it was granted: the same host port again, for a container that is taken over. */
export function requestsOf(bound: readonly BoundPort[]): readonly PortRequest[] {
  return bound.map(({ containerPort, protocol, hostIp, hostPort }) => ({
    containerPort,
    protocol,
    hostIp,
    hostPort,
    hostPortEnd: hostPort,
  }));
}

/** Where one held port leads. */
export interface HeldTarget {
  readonly containerPort: number;
  readonly target: PortTarget;
  readonly turn?: PortTurn;
}

export function rulesForHeld(held: HeldPort, to: HeldTarget): readonly Rule[] {
  const endpoint = held.family === 4 ? to.target.ipv4 : to.target.ipv6;
  const container = containerAddress(endpoint, held.family);
  if (endpoint === undefined || container === undefined) return [];
  if (held.family === 6 && isLoopback(held.address)) return [];
  const options = bridgeOptions(endpoint.network.record);
  const mode = held.family === 4 ? options.gatewayMode4 : options.gatewayMode6;
  if (mode === "isolated") return [];
  return portRules({
    protocol: held.protocol,
    hostAddress: held.address.value === 0n ? undefined : held.address,
    hostPort: held.port,
    container,
    containerPort: to.containerPort,
    bridgeName: endpoint.network.record.bridgeName,
    mode,
    ...(to.turn === undefined ? {} : { turn: to.turn }),
  });
}

function containerAddress(endpoint: Endpoint | undefined, family: 4 | 6): Address | undefined {
  return parseAddress((family === 4 ? endpoint?.state.ipv4 : endpoint?.state.ipv6)?.address ?? "");
}

/** Where the engine itself forwards clients of a held port: IPv6 ones of an IPv4 container too. */
export function targetOf(held: HeldPort, containerPort: number, target: PortTarget): Target | undefined {
  const address =
    (held.family === 6 ? target.ipv6?.state.ipv6?.address : undefined) ??
    target.ipv4?.state.ipv4?.address ??
    target.ipv6?.state.ipv6?.address;
  return address === undefined ? undefined : { address, port: containerPort };
}

/** Takes over the descriptor. undefined: there is none. */
export function forwardHeld(held: HeldPort, next: NextTarget): Forwarder | undefined {
  if (held.fd === undefined) return undefined;
  // There is no userland forwarding of SCTP: the socket keeps the port, the firewall does the rest.
  if (held.protocol === "sctp") return { forget: () => undefined, close: async () => releasePort(held) };
  return forwardPort({ ...held, fd: held.fd }, next);
}
