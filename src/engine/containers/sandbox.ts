/** A container's network: made before its process is released, given back after it has ended. */
import { closeSync, readFileSync } from "node:fs";
import { createNetns } from "../../host/netns.ts";
import type { EndpointRequest, SandboxRequest, SandboxState } from "../../network/types.ts";
import { TscomposeError } from "../../errors.ts";
import type { Container } from "./container.ts";
import type { ContainerContext } from "./context.ts";
import {
  defaultNetworkSysctls,
  endpointRequest,
  hostAccess,
  networkKind,
  plainHosts,
  portRequests,
  publishAnnotations,
} from "./network-plan.ts";
import { isNetworkSysctl } from "./create/sysctls.ts";

export interface NetworkPreparation {
  /** For the runtime: a path, "new" or "host". */
  readonly namespace: string;
  /** The runtime makes the namespace, in the container's user namespace: connect it once the process is there. */
  readonly connectLater: boolean;
  /** Owned until the process is there; undefined where no namespace was made. */
  readonly netnsFd: number | undefined;
  /** Sysctls that the runtime sets itself. */
  readonly sysctls: Readonly<Record<string, string>>;
  /** The container whose files and namespace are shared. */
  readonly shared: Container | undefined;
}

export interface NetworkFiles {
  readonly hosts: string;
  readonly resolvConf: string;
}

/** Makes or finds the namespace. @throws container/not-found, container/wrong-status for one to join that does not run */
export function prepareNetwork(ctx: ContainerContext, container: Container): NetworkPreparation {
  const { hostConfig, config } = container.record;
  const kind = networkKind(hostConfig, config);
  const own = networkSysctls(container);
  switch (kind.kind) {
    case "host":
      return { namespace: "host", connectLater: false, netnsFd: undefined, sysctls: {}, shared: undefined };
    case "none":
      return { namespace: "new", connectLater: false, netnsFd: undefined, sysctls: own, shared: undefined };
    case "container": {
      const shared = joinable(ctx, kind.ref, "network");
      return {
        namespace: `/proc/${shared.state.process?.pid}/ns/net`,
        connectLater: false,
        netnsFd: undefined,
        sysctls: {},
        shared,
      };
    }
    case "sandbox": {
      if (container.record.userNamespace !== undefined) {
        return { namespace: "new", connectLater: true, netnsFd: undefined, sysctls: {}, shared: undefined };
      }
      const netnsFd = createNetns();
      return {
        namespace: `/proc/${process.pid}/fd/${netnsFd}`,
        connectLater: false,
        netnsFd,
        sysctls: {},
        shared: undefined,
      };
    }
  }
}

/** A container that runs, to share a namespace with. @throws container/not-found, container/wrong-status */
export function joinable(ctx: ContainerContext, ref: string, what: string): Container {
  const other = ctx.registry.resolve(ref);
  if (other.state.status === "running" && other.state.process !== undefined) return other;
  throw new TscomposeError(
    "container/wrong-status",
    `cannot join ${what} namespace of container ${other.name}: it is ${other.state.status}`,
    { hint: `start ${other.name} first` },
  );
}

function networkSysctls(container: Container): Readonly<Record<string, string>> {
  const asked = Object.entries(container.record.hostConfig.Sysctls ?? {}).filter(([name]) => isNetworkSysctl(name));
  const defaults = Object.entries(defaultNetworkSysctls).filter(
    // Its groups are not those of the host.
    ([name]) => container.record.userNamespace === undefined || name !== "net.ipv4.ping_group_range",
  );
  return Object.fromEntries([...defaults, ...asked]);
}

/** Interfaces, addresses, ports. Undefined for modes without a sandbox. @throws what networking throws */
export async function connectNetwork(
  ctx: ContainerContext,
  container: Container,
  netnsFd: number | undefined,
): Promise<SandboxState | undefined> {
  if (netnsFd === undefined) return undefined;
  const state = await ctx.networking.setupSandbox(sandboxRequest(ctx, container, netnsFd));
  for (const { networkId, networkName } of state.endpoints) {
    publishNetworkEvent(ctx, container, { action: "connect", networkId, networkName });
  }
  return state;
}

export function sandboxRequest(ctx: ContainerContext, container: Container, netnsFd: number): SandboxRequest {
  const { record } = container;
  const { hostConfig, config } = record;
  return {
    containerId: container.id,
    containerName: container.name,
    hostname: config.Hostname ?? "",
    netnsFd,
    endpoints: endpointRequests(ctx, container),
    previous: container.state.lastEndpoints,
    ports: portRequests(hostConfig, config),
    labels: config.Labels ?? {},
    hostAccess: hostAccess(hostConfig),
    publishGroup: hostConfig.Annotations?.[publishAnnotations.group],
    dns: { servers: hostConfig.Dns ?? [], search: hostConfig.DnsSearch ?? [], options: hostConfig.DnsOptions ?? [] },
    extraHosts: [...(hostConfig.ExtraHosts ?? []), ...linkedHosts(ctx, container)],
    sysctls: networkSysctls(container),
  };
}

function endpointRequests(ctx: ContainerContext, container: Container): readonly EndpointRequest[] {
  return Object.entries(container.record.endpoints).map(([ref, settings]) =>
    endpointRequest(ctx.networking.inspect(ref).Id, settings),
  );
}

/** Links are names for other containers that only this one knows: lines in its /etc/hosts, made when it starts. */
function linkedHosts(ctx: ContainerContext, container: Container): readonly string[] {
  const { endpoints, hostConfig } = container.record;
  const links = [...(hostConfig.Links ?? []), ...Object.values(endpoints).flatMap(({ Links }) => Links ?? [])];
  return [...new Set(links)].flatMap((link) => {
    const [ref = "", alias = ref.split("/").at(-1) ?? ""] = link.split(":");
    const other = ctx.registry.resolve(ref);
    const own = new Set(Object.keys(endpoints).map((name) => ctx.networking.inspect(name).Id));
    const endpoint = other.state.sandbox?.endpoints.find(({ networkId }) => own.has(networkId));
    if (endpoint?.ipv4 === undefined) {
      throw new TscomposeError(
        "container/wrong-status",
        `Cannot link to a non running container: /${other.name} AS ${alias}`,
        {
          hint: `start ${other.name} first, or use a network and its name instead of a link`,
        },
      );
    }
    const names = new Set([alias, other.record.config.Hostname ?? "", other.name]);
    return [...names].filter((name) => name !== "").map((name) => `${name}:${endpoint.ipv4?.address}`);
  });
}

/** Texts of /etc/hosts and /etc/resolv.conf. */
export function networkFiles(container: Container, sandbox: SandboxState | undefined): NetworkFiles {
  if (sandbox !== undefined) return { hosts: sandbox.hostsFile, resolvConf: sandbox.resolvConf };
  const { hostConfig } = container.record;
  const given = [
    ...(hostConfig.DnsSearch?.length ? [`search ${hostConfig.DnsSearch.join(" ")}`] : []),
    ...(hostConfig.Dns ?? []).map((server) => `nameserver ${server}`),
    ...(hostConfig.DnsOptions?.length ? [`options ${hostConfig.DnsOptions.join(" ")}`] : []),
  ];
  const hostsOf = hostConfig.NetworkMode === "host" ? readText("/etc/hosts") : "";
  const plain = plainHosts(container.record);
  return {
    hosts: hostsOf === "" ? plain : `${hostsOf.trimEnd()}\n${plain.split("\n").slice(6).join("\n")}`,
    resolvConf: given.length > 0 ? `${given.join("\n")}\n` : readText("/etc/resolv.conf"),
  };
}

/** Gives everything back. @returns what went wrong */
export async function disconnectNetwork(ctx: ContainerContext, container: Container): Promise<readonly unknown[]> {
  const { sandbox } = container.state;
  if (sandbox === undefined) return [];
  const errors: unknown[] = [];
  await ctx.networking.teardownSandbox(container.id).catch((error: unknown) => errors.push(error));
  for (const { networkId, networkName } of sandbox.endpoints) {
    publishNetworkEvent(ctx, container, { action: "disconnect", networkId, networkName });
  }
  return errors;
}

export function publishNetworkEvent(
  ctx: ContainerContext,
  container: Container,
  event: { readonly action: "connect" | "disconnect"; readonly networkId: string; readonly networkName: string },
): void {
  let type = "bridge";
  try {
    type = ctx.networking.inspect(event.networkId).Driver;
  } catch {
    // the network is gone already: its driver is only for show here
  }
  ctx.publish({
    type: "network",
    action: event.action,
    id: event.networkId,
    attributes: { container: container.id, name: event.networkName, type },
  });
}

export function closeNetns(fd: number | undefined): void {
  if (fd !== undefined) closeSync(fd);
}

function readText(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return "";
  }
}
