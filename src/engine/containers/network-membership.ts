/** Joins a container to a network, or takes it out of one, whether it runs or not. */
import { isTscomposeError, TscomposeError } from "../../errors.ts";
import type { EndpointState } from "../../network/types.ts";
import type { EndpointSettings } from "../types.ts";
import type { Container } from "./container.ts";
import type { ContainerContext } from "./context.ts";
import { endpointRequest, inputsOf, networkKind } from "./network-plan.ts";
import { publishNetworkEvent } from "./sandbox.ts";

/** @throws request/conflict when it is in it already or its network mode allows no other, network/not-found */
export async function joinNetwork(
  ctx: ContainerContext,
  container: Container,
  request: { readonly network: string; readonly settings: EndpointSettings },
): Promise<void> {
  await container.exclusively(async () => {
    const network = ctx.networking.inspect(request.network);
    checkJoinable(container, network.Name);
    const settings = inputsOf(request.settings);
    if (endpointKey(ctx, container, network.Id) !== undefined) {
      throw new TscomposeError(
        "request/conflict",
        `endpoint with name ${container.name} already exists in network ${network.Name}`,
        { hint: "disconnect it first to change its endpoint" },
      );
    }
    if (container.state.sandbox !== undefined) {
      const endpoint = await ctx.networking.connect(container.id, endpointRequest(network.Id, settings));
      setEndpoints(container, (endpoints) => [...endpoints, endpoint]);
    }
    container.change({ endpoints: { ...container.record.endpoints, [network.Name]: settings } });
    container.persist();
    if (container.alive) {
      publishNetworkEvent(ctx, container, { action: "connect", networkId: network.Id, networkName: network.Name });
    }
  });
}

/** @throws request/invalid when it is not in it, network/not-found unless forced */
export async function leaveNetwork(
  ctx: ContainerContext,
  container: Container,
  request: { readonly network: string; readonly force: boolean },
): Promise<void> {
  await container.exclusively(async () => {
    const network = ctx.networking.inspect(request.network);
    const key = endpointKey(ctx, container, network.Id);
    if (key === undefined) {
      if (request.force) return;
      throw new TscomposeError(
        "request/invalid",
        `container ${container.id} is not connected to network ${network.Name}`,
      );
    }
    if (container.state.sandbox !== undefined) {
      await ctx.networking.disconnect(container.id, network.Id);
      setEndpoints(container, (endpoints) => endpoints.filter(({ networkId }) => networkId !== network.Id));
    }
    const { [key]: _left, ...endpoints } = container.record.endpoints;
    container.change({ endpoints });
    container.persist();
    if (container.alive) {
      publishNetworkEvent(ctx, container, { action: "disconnect", networkId: network.Id, networkName: network.Name });
    }
  });
}

function setEndpoints(
  container: Container,
  change: (endpoints: readonly EndpointState[]) => readonly EndpointState[],
): void {
  const { sandbox } = container.state;
  if (sandbox === undefined) return;
  const endpoints = change(sandbox.endpoints);
  container.update({ sandbox: { ...sandbox, endpoints }, lastEndpoints: endpoints });
}

function checkJoinable(container: Container, network: string): void {
  const { hostConfig, config } = container.record;
  const { kind } = networkKind(hostConfig, config);
  if (kind === "sandbox" && network !== "host" && network !== "none") return;
  const mode = kind === "sandbox" ? network : kind;
  throw new TscomposeError(
    "request/conflict",
    `container ${container.name} cannot be connected to network ${network}: conflicting options: the network mode ${mode} allows no other network`,
    { hint: "create the container with the networks that it needs" },
  );
}

/** The key in the record under which the container has the network; undefined: it is not in it. */
function endpointKey(ctx: ContainerContext, container: Container, networkId: string): string | undefined {
  return Object.keys(container.record.endpoints).find((ref) => {
    try {
      return ctx.networking.inspect(ref).Id === networkId;
    } catch (error) {
      if (isTscomposeError(error, "network/not-found")) return false;
      throw error;
    }
  });
}
