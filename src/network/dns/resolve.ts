/** What the engine itself knows about a name, as seen from one container. Pure but for the rotation inside a zone. */
import { parseAddress, formatAddress, contains, type Address, type Subnet } from "../cidr.ts";
import { TYPE, type ResourceRecord } from "./answer.ts";
import { NXDOMAIN, REFUSED, type Question } from "./question.ts";
import type { Zone, ZoneMember } from "./zone.ts";

/** What a container may see: the networks it is in, in the order of preference, and the outside or not. */
export interface DnsView {
  readonly networks: readonly { readonly name: string; readonly zone: Zone; readonly subnets: readonly Subnet[] }[];
  /** `host.docker.internal`; undefined: the container has no way to the host. */
  readonly hostGateway: { readonly ipv4: string | undefined; readonly ipv6: string | undefined } | undefined;
  /** False in internal networks: nothing leaves. */
  readonly forwards: boolean;
  /** Search domains of its resolv.conf: a container's name does not leave with one of them behind it either. */
  readonly search: readonly string[];
}
export type Resolution =
  | { readonly kind: "answer"; readonly rcode: number; readonly records: readonly ResourceRecord[] }
  | { readonly kind: "forward" };

const hostNames: ReadonlySet<string> = new Set(["host.docker.internal", "gateway.docker.internal"]);
const nothing: Resolution = { kind: "answer", rcode: 0, records: [] };
const noSuchName: Resolution = { kind: "answer", rcode: NXDOMAIN, records: [] };
const IN = 1;

export function resolve(question: Question, view: DnsView): Resolution {
  if (question.class !== IN) return { kind: "answer", rcode: REFUSED, records: [] };
  const name = question.name.toLowerCase();
  if (name.endsWith(".in-addr.arpa") || name.endsWith(".ip6.arpa")) return resolveAddress(name, question.type, view);
  if (name === "localhost" || name.endsWith(".localhost")) {
    return addresses(question.type, [{ ipv4: "127.0.0.1", ipv6: "::1" }]);
  }
  if (hostNames.has(name) && view.hostGateway !== undefined) return addresses(question.type, [view.hostGateway]);
  const members = findMembers(name, view);
  if (members.length > 0) return addresses(question.type, members);
  const service = /^_([0-9]{1,5})\._(tcp|udp)\.(.+)$/.exec(name);
  if (service !== null) {
    const found = findMembers(service[3] ?? "", view);
    if (found.length > 0) return services(question.type, Number(service[1]), found);
  }
  if (staysHere(name, view)) return noSuchName;
  return view.forwards ? { kind: "forward" } : noSuchName;
}

/** By bare name in any of the networks, or as `name.network`. */
function findMembers(name: string, view: DnsView): readonly ZoneMember[] {
  for (const { zone } of view.networks) {
    const found = zone.find(name);
    if (found.length > 0) return found;
  }
  for (const network of view.networks) {
    const suffix = `.${network.name.toLowerCase()}`;
    if (!name.endsWith(suffix)) continue;
    const found = network.zone.find(name.slice(0, -suffix.length));
    if (found.length > 0) return found;
  }
  return [];
}

function addresses(
  type: number,
  members: readonly { readonly ipv4: string | undefined; readonly ipv6: string | undefined }[],
): Resolution {
  const records: ResourceRecord[] = [];
  if (type === TYPE.A || type === TYPE.ANY) {
    for (const { ipv4 } of members) if (ipv4 !== undefined) records.push({ type: "A", address: ipv4 });
  }
  if (type === TYPE.AAAA || type === TYPE.ANY) {
    for (const { ipv6 } of members) if (ipv6 !== undefined) records.push({ type: "AAAA", address: ipv6 });
  }
  return records.length === 0 ? nothing : { kind: "answer", rcode: 0, records };
}

function services(type: number, port: number, members: readonly ZoneMember[]): Resolution {
  if ((type !== TYPE.SRV && type !== TYPE.ANY) || port > 65535) return nothing;
  const records = members.map((member) => ({ type: "SRV" as const, port, name: member.names[0] ?? "" }));
  return { kind: "answer", rcode: 0, records };
}

/** Single labels, names of containers with or without a search domain: these say something about what runs here. */
function staysHere(name: string, view: DnsView): boolean {
  if (name !== "" && !name.includes(".")) return true;
  if (hostNames.has(name)) return true;
  const knows = (text: string): boolean => view.networks.some(({ zone }) => zone.knows(text));
  if (knows(name)) return true;
  const suffixes = [...view.search, ...view.networks.map((network) => network.name)];
  return suffixes.some((suffix) => {
    const end = `.${suffix.toLowerCase().replace(/\.$/, "")}`;
    return end.length > 1 && name.endsWith(end) && knows(name.slice(0, -end.length));
  });
}

function resolveAddress(name: string, type: number, view: DnsView): Resolution {
  const address = parseReverse(name);
  if (address === undefined) return noSuchName;
  for (const { zone, name: network } of view.networks) {
    const member = zone.findByAddress(formatAddress(address));
    if (member === undefined) continue;
    if (type !== TYPE.PTR && type !== TYPE.ANY) return nothing;
    return { kind: "answer", rcode: 0, records: [{ type: "PTR", name: `${member.names[0] ?? ""}.${network}` }] };
  }
  const ours = view.networks.some(({ subnets }) => subnets.some((subnet) => contains(subnet, address)));
  return ours || !view.forwards ? noSuchName : { kind: "forward" };
}

/** Of `4.3.2.1.in-addr.arpa` and the nibble form; undefined for a part of one. */
export function parseReverse(name: string): Address | undefined {
  const v4 = /^(\d+)\.(\d+)\.(\d+)\.(\d+)\.in-addr\.arpa$/.exec(name);
  if (v4 !== null) return parseAddress(v4.slice(1).toReversed().join("."));
  const v6 = /^((?:[0-9a-f]\.){32})ip6\.arpa$/.exec(name);
  if (v6 === null) return undefined;
  const hex = (v6[1] ?? "").replaceAll(".", "").split("").toReversed().join("");
  return { family: 6, value: BigInt(`0x${hex}`) };
}
