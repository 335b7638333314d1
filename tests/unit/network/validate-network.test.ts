import { expect, test } from "vitest";
import { validateNetwork } from "../../../src/network/validate-network.ts";

const plan = (more: object = {}): ReturnType<typeof validateNetwork> => validateNetwork({ Name: "n1", ...more });
const config = (...pools: readonly object[]): object => ({ IPAM: { Config: pools } });

test("a name alone is a bridge network with an IPv4 subnet of the engine's choice", () => {
  expect(plan()).toMatchObject({
    driver: "bridge",
    internal: false,
    enableIpv4: true,
    enableIpv6: false,
    allocate: [4],
  });
  expect(plan({ EnableIPv6: true }).allocate).toEqual([4, 6]);
  expect(plan({ EnableIPv6: true, ...config({ Subnet: "fd00:1::/64" }) }).allocate).toEqual([4]);
  expect(plan(config({ Subnet: "fd00:1::/64" })).enableIpv6).toBe(true);
});

test("what Docker's clients send for nothing is nothing", () => {
  const empty = { Driver: "", Scope: "", IPAM: { Driver: "default", Options: {}, Config: [{}] }, ConfigFrom: null };
  expect(plan({ ...empty, Options: null, Labels: null })).toMatchObject({
    pools: [],
    allocate: [4],
    options: {},
    labels: {},
  });
});

const refusals: readonly (readonly [title: string, body: object, message: string])[] = [
  ["a predefined name", { Name: "host" }, "operation is not permitted on predefined host network"],
  ["a name that is a path", { Name: "a/b" }, 'invalid network name "a/b"'],
  ["a driver nobody has", { Driver: "overlay2" }, 'plugin "overlay2" not found'],
  ["a second host network", { Driver: "host" }, 'only one instance of "host" network is allowed'],
  ["a swarm's ingress network", { Ingress: true }, "an ingress network is not supported"],
  ["no family at all", { EnableIPv4: false }, "IPv4 or IPv6 must be enabled"],
  ["a subnet that is none", config({ Subnet: "10.0.0.0" }), "invalid subnet 10.0.0.0: not a CIDR address"],
  [
    "a subnet with host bits",
    config({ Subnet: "10.0.0.5/24" }),
    "invalid subnet 10.0.0.5/24: it should be 10.0.0.0/24",
  ],
  ["a range outside", config({ Subnet: "10.0.0.0/24", IPRange: "10.0.1.0/25" }), "invalid ip-range 10.0.1.0/25"],
  ["a gateway outside", config({ Subnet: "10.0.0.0/24", Gateway: "10.0.1.1" }), "invalid gateway address 10.0.1.1"],
  [
    "overlapping subnets",
    config({ Subnet: "10.0.0.0/16" }, { Subnet: "10.0.1.0/24" }),
    "subnets 10.0.0.0/16 and 10.0.1.0/24 overlap",
  ],
  [
    "a bridge name that would break rules",
    { Options: { "com.docker.network.bridge.name": "x -j ACCEPT" } },
    "invalid value for option",
  ],
  ["an MTU that is no number", { Options: { "com.docker.network.driver.mtu": "big" } }, "invalid value for option"],
  [
    "an isolated gateway on an open network",
    { Options: { "com.docker.network.bridge.gateway_mode_ipv4": "isolated" } },
    "can only be used for an internal network",
  ],
];
for (const [title, body, message] of refusals) {
  test(`${title} is refused`, () => {
    expect(() => plan(body)).toThrow(message);
  });
}

test("an option that means nothing here is said to mean nothing", () => {
  expect(plan({ Options: { "com.example.speed": "fast" } }).warnings).toEqual([
    "network option com.example.speed is not known and has no effect",
  ]);
});
