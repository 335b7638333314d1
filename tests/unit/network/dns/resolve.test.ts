import { decode } from "dns-packet";
import { expect, test } from "vitest";
import { parseSubnet, type Subnet } from "../../../../src/network/cidr.ts";
import { encodeAnswer, TYPE } from "../../../../src/network/dns/answer.ts";
import { NXDOMAIN, type Question } from "../../../../src/network/dns/question.ts";
import { resolve, type DnsView, type Resolution } from "../../../../src/network/dns/resolve.ts";
import { Zone, type ZoneMember } from "../../../../src/network/dns/zone.ts";

const subnets: readonly Subnet[] = [parseSubnet("172.18.0.0/26")].flatMap((one) => one ?? []);
const member = (more: Partial<ZoneMember>): ZoneMember => ({
  containerId: "1",
  names: ["web"],
  ipv4: "172.18.0.2",
  ipv6: undefined,
  healthy: true,
  ...more,
});
function view(members: readonly ZoneMember[], more: Partial<DnsView> = {}): DnsView {
  const zone = new Zone();
  members.forEach((one) => zone.set(one));
  const hostGateway = { ipv4: "172.18.0.1", ipv6: undefined };
  return {
    networks: [{ name: "app_default", zone, subnets }],
    hostGateway,
    forwards: true,
    search: ["corp.example"],
    ...more,
  };
}
const question = (name: string, type: number = TYPE.A): Question => ({
  id: 1,
  name,
  type,
  class: 1,
  recursionDesired: true,
  raw: Buffer.concat([
    ...name.split(".").map((label) => Buffer.concat([Buffer.of(label.length), Buffer.from(label)])),
    Buffer.of(0, type >> 8, type & 255, 0, 1),
  ]),
  udpSize: 512,
  edns: false,
});
const addressesOf = (resolution: Resolution): readonly string[] =>
  resolution.kind === "answer"
    ? resolution.records.map((one) => ("address" in one ? one.address : one.name))
    : ["forward"];

test("names of other systems go outside, names of ours, bare names and reverse names of our subnets do not", () => {
  const of = (name: string, type?: number): readonly string[] =>
    addressesOf(resolve(question(name, type), view([member({})])));
  expect(of("example.org")).toEqual(["forward"]);
  expect(of("WEB")).toEqual(["172.18.0.2"]);
  expect(of("web", TYPE.AAAA)).toEqual([]);
  expect(of("unknown")).toEqual([]);
  expect(of("web.corp.example")).toEqual([]);
  expect(of("other.corp.example")).toEqual(["forward"]);
  expect(of("2.0.18.172.in-addr.arpa", TYPE.PTR)).toEqual(["web.app_default"]);
  expect(of("9.0.18.172.in-addr.arpa", TYPE.PTR)).toEqual([]);
  expect(of("8.8.8.8.in-addr.arpa", TYPE.PTR)).toEqual(["forward"]);
  expect(of("localhost")).toEqual(["127.0.0.1"]);
  expect(of("host.docker.internal")).toEqual(["172.18.0.1"]);
});

test("an alias cannot take the host's name or localhost", () => {
  const evil = member({ names: ["evil", "host.docker.internal", "localhost"], ipv4: "172.18.0.9" });
  expect(addressesOf(resolve(question("host.docker.internal"), view([evil])))).toEqual(["172.18.0.1"]);
  expect(addressesOf(resolve(question("localhost"), view([evil])))).toEqual(["127.0.0.1"]);
});

test("without a way out nothing is forwarded", () => {
  const inner = view([], { forwards: false, hostGateway: undefined });
  for (const name of ["example.org", "8.8.8.8.in-addr.arpa", "host.docker.internal"]) {
    expect(resolve(question(name), inner)).toEqual({ kind: "answer", rcode: NXDOMAIN, records: [] });
  }
});

test("a numbered service has records that name its members", () => {
  const resolution = resolve(question("_80._tcp.web", TYPE.SRV), view([member({})]));
  expect(resolution).toEqual({ kind: "answer", rcode: 0, records: [{ type: "SRV", port: 80, name: "web" }] });
});

test("answers are what another implementation of DNS reads, and are cut off where they do not fit", () => {
  const many = Array.from({ length: 40 }, (_, n) => ({ type: "A" as const, address: `172.18.0.${n + 2}` }));
  const whole = decode(encodeAnswer(question("web"), { rcode: 0, records: many, limit: 65_535 }));
  expect(whole.answers).toHaveLength(40);
  expect(whole.questions).toMatchObject([{ name: "web", type: "A" }]);
  const bytes = encodeAnswer(question("web"), { rcode: 0, records: many, limit: 512 });
  expect(bytes.length).toBeLessThanOrEqual(512);
  expect(decode(bytes)).toMatchObject({ flag_tc: true });
  const named = encodeAnswer(question("2.0.18.172.in-addr.arpa", TYPE.PTR), {
    rcode: 0,
    records: [{ type: "PTR", name: "web.net" }],
    limit: 512,
  });
  expect(decode(named).answers).toMatchObject([{ data: "web.net" }]);
});
