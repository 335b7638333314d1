/** `x-host-access`: the host's 127.0.0.1 for one container, by rules that end with it. */
import { TscomposeError } from "../errors.ts";
import { parseAddress } from "./cidr.ts";
import { hostAccessRules, type Rule } from "./firewall/rules.ts";
import { portTarget } from "./published-ports.ts";
import type { Sandbox } from "./sandbox.ts";

export const hostAccessOwner = (sandbox: Sandbox): string => `host:${sandbox.id}`;

/** @throws network/invalid for a container that asks for ports and has no IPv4 way to the host */
export function checkHostAccess(sandbox: Sandbox): void {
  const wanted = sandbox.request.hostAccess ?? [];
  if (wanted.length === 0 || rulesForHostAccess(sandbox).length > 0) return;
  throw new TscomposeError(
    "network/invalid",
    `container ${sandbox.name} asks for ports of the host (x-host-access), and has no network that leads to it`,
    { hint: "give it a bridge network with IPv4 that is not internal" },
  );
}

/** None for a container that asked for nothing, or has no way there any more. */
export function rulesForHostAccess(sandbox: Sandbox): readonly Rule[] {
  const wanted = sandbox.request.hostAccess ?? [];
  const endpoint = wanted.length === 0 ? undefined : portTarget(sandbox.endpoints.values()).ipv4;
  const container = parseAddress(endpoint?.state.ipv4?.address ?? "");
  const gateway = parseAddress(endpoint?.network.gatewayOf(4) ?? "");
  if (endpoint === undefined || container === undefined || gateway === undefined) return [];
  const { bridgeName } = endpoint.network.record;
  return wanted.flatMap(({ port, protocol }) => hostAccessRules({ container, gateway, bridgeName, port, protocol }));
}
