/** Names for one container: its resolver and the files in its /etc. */
import type { NetworkContext } from "./context.ts";
import { startDnsServer, type DnsServer } from "./dns/server.ts";
import type { DnsView } from "./dns/resolve.ts";
import { renderHostsFile, renderPlainResolvConf, renderResolvConf, type ResolverConfig } from "./etc-files.ts";
import { readHostResolver } from "./host-subnets.ts";
import { subnetsOf } from "./network-record.ts";
import { gatewayEndpoint } from "./plan-endpoint.ts";
import type { Sandbox } from "./sandbox.ts";

/** undefined for a container without a network of its own: there is nobody to ask. */
export function startResolver(context: NetworkContext, sandbox: Sandbox): DnsServer | undefined {
  if (!hasOwnNetwork(sandbox)) return undefined;
  const { servers } = sandbox.request.dns;
  return startDnsServer({
    netns: sandbox.netns,
    view: rememberView(sandbox),
    servers: () => (servers.length > 0 ? servers : hostServers()),
    upstream: context.upstream,
    log: context.log,
  });
}

const hasOwnNetwork = (sandbox: Sandbox): boolean =>
  [...sandbox.endpoints.values()].some(({ network }) => !["host", "null"].includes(network.record.driver));

let hostResolver: { readonly at: number; readonly config: ResolverConfig } | undefined;
/** Read again after two seconds: laptops change networks. */
function hostConfig(): ResolverConfig {
  const now = performance.now();
  if (hostResolver === undefined || now - hostResolver.at > 2000)
    hostResolver = { at: now, config: readHostResolver() };
  return hostResolver.config;
}
const hostServers = (): readonly string[] => hostConfig().servers;

/** Made again when what it is made of is another. */
function rememberView(sandbox: Sandbox): () => DnsView {
  let made: { readonly of: readonly unknown[]; readonly view: DnsView } | undefined;
  return () => {
    const host = hostConfig();
    const known = made;
    if (known !== undefined && known.of[0] === host && sandbox.endpoints.size * 2 + 1 === known.of.length) {
      let at = 1;
      let same = true;
      for (const endpoint of sandbox.endpoints.values()) {
        same &&= known.of[at] === endpoint && known.of[at + 1] === endpoint.network.record;
        at += 2;
      }
      if (same) return known.view;
    }
    const parts = [...sandbox.endpoints.values()].flatMap((endpoint) => [endpoint, endpoint.network.record]);
    made = { of: [host, ...parts], view: viewOf(sandbox) };
    return made.view;
  };
}

function viewOf(sandbox: Sandbox): DnsView {
  const endpoints = [...sandbox.endpoints.values()];
  const [v4, v6] = [gatewayEndpoint(endpoints, 4), gatewayEndpoint(endpoints, 6)];
  const gateways = { ipv4: v4?.network.gatewayOf(4), ipv6: v6?.network.gatewayOf(6) };
  return {
    networks: endpoints.map(({ network }) => ({
      name: network.name,
      zone: network.zone,
      subnets: subnetsOf(network.record),
    })),
    hostGateway: gateways.ipv4 === undefined && gateways.ipv6 === undefined ? undefined : gateways,
    forwards: endpoints.some(({ network }) => !network.record.internal),
    search: searchOf(sandbox),
  };
}

function searchOf(sandbox: Sandbox): readonly string[] {
  const { search } = sandbox.request.dns;
  return search.length > 0 ? search : hostConfig().search;
}

export function resolvConfOf(sandbox: Sandbox): string {
  const { dns } = sandbox.request;
  if (!hasOwnNetwork(sandbox)) {
    const host = hostConfig();
    return renderPlainResolvConf({
      servers: dns.servers.length > 0 ? dns.servers : host.servers,
      search: searchOf(sandbox),
      options: dns.options.length > 0 ? dns.options : host.options,
    });
  }
  return renderResolvConf({
    search: searchOf(sandbox),
    options: dns.options,
    upstream: dns.servers.length > 0 ? dns.servers : hostServers(),
  });
}

export function hostsFileOf(sandbox: Sandbox): string {
  const endpoints = [...sandbox.endpoints.values()];
  const gateway =
    gatewayEndpoint(endpoints, 4)?.network.gatewayOf(4) ?? gatewayEndpoint(endpoints, 6)?.network.gatewayOf(6);
  return renderHostsFile({
    hostname: sandbox.request.hostname,
    addresses: endpoints.flatMap(({ state }) => [state.ipv4?.address ?? [], state.ipv6?.address ?? []].flat()),
    extraHosts: sandbox.request.extraHosts,
    hostGateway: gateway,
  });
}
