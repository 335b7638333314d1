import { expect, test } from "vitest";
import { parseAddress, parseSubnet, type Address, type Subnet } from "../../../../src/network/cidr.ts";
import { renderChange } from "../../../../src/network/firewall/render.ts";
import {
  hostAccessRules,
  networkRules,
  portRules,
  type PublishedPort,
  type Rule,
} from "../../../../src/network/firewall/rules.ts";
import type { NetworkRecord } from "../../../../src/network/network-record.ts";

const subnet = (text: string): Subnet => parseSubnet(text) ?? { family: 4, base: 0n, prefixLength: 0 };
const address = (text: string): Address => parseAddress(text) ?? { family: 4, value: 0n };

function network(more: Partial<NetworkRecord> = {}): NetworkRecord {
  return {
    version: 1,
    id: "a".repeat(64),
    name: "n",
    created: "",
    driver: "bridge",
    internal: false,
    attachable: false,
    enableIpv4: true,
    enableIpv6: false,
    pools: [{ subnet: "172.18.0.0/26", range: undefined, gateway: "172.18.0.1", auxiliary: {}, configured: false }],
    ipamOptions: {},
    options: {},
    labels: {},
    bridgeName: "br0",
    ownsBridge: true,
    ...more,
  };
}
const shown = (rules: readonly Rule[]): string => renderChange("test1", { remove: [], add: rules });
const rulesOf = (record: NetworkRecord): string => shown(networkRules(record, [subnet("172.18.0.0/15")]));

test("a plain network: direct access dies in raw, replies and published ports come in, everything may go out", () => {
  expect(rulesOf(network())).toBe(`*raw
-A TSC-test1-RAWP -d 172.18.0.0/26 ! -i br0 -j DROP
-A TSC-test1-RAWL -i br0 -j DROP
COMMIT
*nat
-A TSC-test1-POST -s 172.18.0.0/26 ! -o br0 -j MASQUERADE
-A TSC-test1-POST -s 172.18.0.0/26 -d 172.18.0.0/26 -o br0 -m conntrack --ctstate DNAT -j MASQUERADE
-A TSC-test1-POST -s 127.0.0.0/8 -o br0 -j MASQUERADE
COMMIT
*filter
-A TSC-test1-IN -o br0 -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
-A TSC-test1-IN -o br0 -m conntrack --ctstate DNAT -j ACCEPT
-A TSC-test1-IN -i br0 -o br0 -j ACCEPT
-A TSC-test1-IN -o br0 -j DROP
-A TSC-test1-OUT -i br0 -j ACCEPT
COMMIT
`);
});

test("an internal network: nothing in, nothing out, no NAT, and the host is out of reach", () => {
  expect(rulesOf(network({ internal: true }))).toBe(`*raw
-A TSC-test1-RAWP -d 172.18.0.0/26 ! -i br0 -j DROP
-A TSC-test1-RAWL -i br0 -j DROP
COMMIT
*filter
-A TSC-test1-INT -i br0 ! -o br0 -j DROP
-A TSC-test1-INT ! -i br0 -o br0 -j DROP
-A TSC-test1-IN -i br0 -o br0 -j ACCEPT
-A TSC-test1-INP -i br0 -m conntrack --ctstate RELATED,ESTABLISHED -j RETURN
-A TSC-test1-INP -i br0 -j DROP
COMMIT
`);
});

test("a subnet outside the pools is guarded in the main raw chain", () => {
  const pools = [{ subnet: "10.5.0.0/16", range: undefined, gateway: "10.5.0.1", auxiliary: {}, configured: true }];
  expect(rulesOf(network({ pools }))).toContain("-A TSC-test1-RAW -d 10.5.0.0/16 ! -i br0 -j DROP\n");
});

test("options change the rules: no masquerade, a source address, no icc, routed, unprotected", () => {
  const option = (key: string, value: string): string => rulesOf(network({ options: { [key]: value } }));
  expect(option("com.docker.network.bridge.enable_ip_masquerade", "false")).not.toContain("! -o br0 -j MASQUERADE");
  expect(option("com.docker.network.host_ipv4", "192.0.2.1")).toContain(
    "-A TSC-test1-POST -s 172.18.0.0/26 ! -o br0 -j SNAT --to-source 192.0.2.1\n",
  );
  expect(option("com.docker.network.bridge.enable_icc", "0")).toContain("-A TSC-test1-IN -i br0 -o br0 -j DROP\n");
  const routed = option("com.docker.network.bridge.gateway_mode_ipv4", "routed");
  expect(routed).not.toContain("*nat");
  expect(routed).toContain("-A TSC-test1-IN -o br0 -p icmp -j ACCEPT\n");
  expect(routed).not.toContain("! -i br0 -j DROP");
  const open = option("com.docker.network.bridge.gateway_mode_ipv4", "nat-unprotected");
  expect(open).toContain("-A TSC-test1-IN -o br0 -j ACCEPT\n");
});

test("IPv6 rules are a set of their own", () => {
  const v6 = { subnet: "fd00:1::/64", range: undefined, gateway: "fd00:1::1", auxiliary: {}, configured: false };
  const both = networkRules(network({ enableIpv6: true, pools: [...network().pools, v6] }), []);
  const text = shown(both.filter(({ family }) => family === 6));
  expect(text).toContain("-A TSC-test1-RAW -d fd00:1::/64 ! -i br0 -j DROP\n");
  expect(text).toContain("-A TSC-test1-POST -s fd00:1::/64 ! -o br0 -j MASQUERADE\n");
  expect(text).not.toContain("172.18");
  expect(text).not.toContain("127.0.0.0/8");
});

const published: PublishedPort = {
  protocol: "tcp",
  hostAddress: undefined,
  hostPort: 8080,
  container: address("172.18.0.2"),
  containerPort: 80,
  bridgeName: "br0",
  mode: "nat",
};

test("published ports: everywhere, at one address, on the loopback address, in IPv6, routed", () => {
  const text = (more: Partial<PublishedPort>): string => shown(portRules({ ...published, ...more }));
  expect(text({})).toBe(
    "*nat\n-A TSC-test1-DNAT -p tcp -m tcp --dport 8080 -j DNAT --to-destination 172.18.0.2:80\nCOMMIT\n",
  );
  expect(text({ hostAddress: address("192.0.2.1"), protocol: "udp" })).toBe(
    "*nat\n-A TSC-test1-DNAT -d 192.0.2.1/32 -p udp -m udp --dport 8080 -j DNAT --to-destination 172.18.0.2:80\nCOMMIT\n",
  );
  expect(text({ hostAddress: address("127.0.0.1") })).toBe(`*raw
-A TSC-test1-RAWL -d 127.0.0.1/32 -p tcp -m tcp --dport 8080 -j DROP
COMMIT
*nat
-A TSC-test1-DNAT -d 127.0.0.1/32 -p tcp -m tcp --dport 8080 -j DNAT --to-destination 172.18.0.2:80
COMMIT
`);
  expect(text({ container: address("fd00::2") })).toContain("--to-destination [fd00::2]:80\n");
  expect(text({ mode: "routed" })).toBe(
    "*filter\n-A TSC-test1-PORT -d 172.18.0.2/32 -o br0 -p tcp -m tcp --dport 80 -j ACCEPT\nCOMMIT\n",
  );
});

test("a port with several targets: one of three, one of two of the rest, all that remain", () => {
  const rules = ["172.18.0.2", "172.18.0.3", "172.18.0.4"].flatMap((text, index) =>
    portRules({ ...published, container: address(text), turn: { every: 3 - index, mark: "t0f" } }),
  );
  expect(shown(rules)).toBe(`*nat
-A TSC-test1-DNAT -p tcp -m tcp --dport 8080 -m statistic --mode nth --every 3 --packet 0 -m comment --comment t0f -j DNAT --to-destination 172.18.0.2:80
-A TSC-test1-DNAT -p tcp -m tcp --dport 8080 -m statistic --mode nth --every 2 --packet 0 -m comment --comment t0f -j DNAT --to-destination 172.18.0.3:80
-A TSC-test1-DNAT -p tcp -m tcp --dport 8080 -m comment --comment t0f -j DNAT --to-destination 172.18.0.4:80
COMMIT
`);
});

test("a port of the host's loopback for one container: translated at the gateway, let in", () => {
  const rules = hostAccessRules({
    container: address("172.18.0.2"),
    gateway: address("172.18.0.1"),
    bridgeName: "br0",
    port: 5432,
    protocol: "tcp",
  });
  expect(shown(rules)).toBe(`*nat
-A TSC-test1-DNAT -s 172.18.0.2/32 -d 172.18.0.1/32 -i br0 -p tcp -m tcp --dport 5432 -j DNAT --to-destination 127.0.0.1:5432
COMMIT
*filter
-A TSC-test1-INP -s 172.18.0.2/32 -d 127.0.0.1/32 -i br0 -p tcp -m tcp --dport 5432 -m conntrack --ctstate DNAT -j ACCEPT
COMMIT
`);
});
