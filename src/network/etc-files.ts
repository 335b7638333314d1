/** Texts for a container's /etc/hosts and /etc/resolv.conf, in Docker's form, and the host's resolv.conf read. Pure.
 *  Source: hosts(5), resolv.conf(5). */
import { parseAddress } from "./cidr.ts";

export interface HostsFileRequest {
  readonly hostname: string;
  /** First address first; names of the container in front of them. */
  readonly addresses: readonly string[];
  /** `name:ip`, with `host-gateway` for the host. */
  readonly extraHosts: readonly string[];
  /** The host's address as seen by the container; undefined: it has none. */
  readonly hostGateway: string | undefined;
}

export function renderHostsFile(request: HostsFileRequest): string {
  const lines = ["127.0.0.1\tlocalhost", "::1\tlocalhost ip6-localhost ip6-loopback"];
  lines.push("fe00::\tip6-localnet", "ff00::\tip6-mcastprefix", "ff02::1\tip6-allnodes", "ff02::2\tip6-allrouters");
  for (const extra of request.extraHosts) {
    const host = parseExtraHost(extra, request.hostGateway);
    if (host !== undefined) lines.push(`${host.address}\t${host.name}`);
  }
  const [short = request.hostname] = request.hostname.split(".");
  const names = short === request.hostname ? short : `${request.hostname} ${short}`;
  for (const address of request.addresses) lines.push(`${address}\t${names}`);
  return `${lines.join("\n")}\n`;
}

/** `name:ip`, `name=ip`, `name:[v6]`; undefined for `host-gateway` without a gateway and for what is not an entry. */
export function parseExtraHost(
  text: string,
  hostGateway: string | undefined,
): { readonly name: string; readonly address: string } | undefined {
  const match = /^([^\s:=]+)[:=]\[?([^\s\]]+)\]?$/.exec(text);
  const [, name, value] = match ?? [];
  if (name === undefined || value === undefined) return undefined;
  const address = value === "host-gateway" ? hostGateway : value;
  if (address === undefined || parseAddress(address) === undefined) return undefined;
  return { name, address };
}

export interface ResolverConfig {
  readonly servers: readonly string[];
  readonly search: readonly string[];
  readonly options: readonly string[];
}

export function parseResolvConf(text: string): ResolverConfig {
  const servers: string[] = [];
  let search: readonly string[] = [];
  const options: string[] = [];
  for (const line of text.split("\n")) {
    const [key, ...values] = line
      .replace(/[#;].*$/, "")
      .trim()
      .split(/\s+/);
    if (key === "nameserver" && values[0] !== undefined) servers.push(values[0]);
    if (key === "domain" || key === "search") search = values;
    if (key === "options") options.push(...values);
  }
  return {
    servers: servers.filter((server) => parseAddress(server.replace(/%.*$/, "")) !== undefined),
    search,
    options,
  };
}

/** The address the engine's resolver answers on inside every container. */
export const resolverAddress = "127.0.0.11";

/** Points the container at the engine's resolver. `ndots:0` lets names of services be asked for as they are.
 *  @param upstream where the resolver forwards to: a comment, for people who look */
export function renderResolvConf(request: {
  readonly search: readonly string[];
  readonly options: readonly string[];
  readonly upstream: readonly string[];
}): string {
  const search = request.search.filter((domain) => domain !== ".");
  const options = request.options.some((option) => option.startsWith("ndots:"))
    ? request.options
    : [...request.options, "ndots:0"];
  return [
    "# Written by tscompose when the container starts.",
    "",
    `nameserver ${resolverAddress}`,
    ...(search.length === 0 ? [] : [`search ${search.join(" ")}`]),
    `options ${options.join(" ")}`,
    "",
    `# Names it does not know it asks of: [${request.upstream.join(" ")}]`,
    "",
  ].join("\n");
}

/** For containers that share the host's network: its own servers, or those asked for. */
export function renderPlainResolvConf(config: ResolverConfig): string {
  const lines = config.servers.map((server) => `nameserver ${server}`);
  if (config.search.length > 0) lines.push(`search ${config.search.join(" ")}`);
  if (config.options.length > 0) lines.push(`options ${config.options.join(" ")}`);
  return `${lines.join("\n")}\n`;
}
