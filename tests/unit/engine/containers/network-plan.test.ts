import { describe, expect, test } from "vitest";
import {
  exposedPorts,
  networkKind,
  plainHosts,
  portRequests,
  requestedEndpoints,
} from "../../../../src/engine/containers/network-plan.ts";
import { record } from "./fixtures.ts";

describe("networks of a request", () => {
  test("are those that are named, else the one of the mode", () => {
    expect(Object.keys(requestedEndpoints({ NetworkMode: "bridge" }, {}, { default: null }))).toEqual(["bridge"]);
    expect(Object.keys(requestedEndpoints({ NetworkMode: "a" }, {}, {}))).toEqual(["a"]);
    expect(Object.keys(requestedEndpoints({ NetworkMode: "a" }, {}, { b: {}, c: {} }))).toEqual(["b", "c"]);
  });
  test("keep what was asked for, and none of the results that clients send along", () => {
    const asked = { Aliases: ["x"], IPAMConfig: { IPv4Address: "10.0.0.5" }, IPAddress: "6.6.6.6", Gateway: "6.6.6.1" };
    expect(requestedEndpoints({ NetworkMode: "a" }, { MacAddress: "02:00:00:00:00:01" }, { a: asked })["a"]).toEqual({
      IPAMConfig: { IPv4Address: "10.0.0.5" },
      Links: null,
      Aliases: ["x"],
      MacAddress: "02:00:00:00:00:01",
      DriverOpts: null,
      GwPriority: 0,
    });
  });
  test("are none with host, none and container modes", () => {
    for (const NetworkMode of ["host", "none", "container:x"]) {
      expect(requestedEndpoints({ NetworkMode }, {}, { default: {} })).toEqual({});
    }
    expect(networkKind({ NetworkMode: "container:x" }, {})).toEqual({ kind: "container", ref: "x" });
    expect(networkKind({ NetworkMode: "bridge" }, { NetworkDisabled: true })).toEqual({ kind: "none" });
  });
});

describe("published ports", () => {
  test("one, a range, any, several for one port", () => {
    const PortBindings = {
      "80/tcp": [
        { HostIp: "127.0.0.1", HostPort: "8080" },
        { HostIp: "", HostPort: "9000-9010" },
      ],
      "53/udp": [{ HostIp: "", HostPort: "" }],
      "81": null,
    };
    expect(portRequests({ PortBindings }, {})).toEqual(
      [
        { containerPort: 80, protocol: "tcp", hostIp: "127.0.0.1", hostPort: 8080, hostPortEnd: 8080 },
        { containerPort: 80, protocol: "tcp", hostIp: "", hostPort: 9000, hostPortEnd: 9010 },
        { containerPort: 53, protocol: "udp", hostIp: "", hostPort: 0, hostPortEnd: 0 },
        { containerPort: 81, protocol: "tcp", hostIp: "", hostPort: 0, hostPortEnd: 0 },
      ].toSorted((a, b) => (a.containerPort === 81 ? -1 : b.containerPort === 81 ? 1 : 0)),
    );
  });
  test("all exposed ones beside those that are named", () => {
    const ExposedPorts = { "80/tcp": {}, "90-92/udp": {} };
    const requests = portRequests(
      { PublishAllPorts: true, PortBindings: { "80/tcp": [{ HostIp: "", HostPort: "1" }] } },
      { ExposedPorts },
    );
    expect(requests.map(({ containerPort, hostPort }) => [containerPort, hostPort])).toEqual([
      [80, 1],
      [90, 0],
      [91, 0],
      [92, 0],
    ]);
    expect(exposedPorts({ ExposedPorts })).toHaveLength(4);
  });
  test.each(["0/tcp", "70000/tcp", "x", "80/icmp", "-1"])("%s is refused", (port) => {
    expect(() => portRequests({ PortBindings: { [port]: [] } }, {})).toThrow("invalid port specification");
  });
  test.each(["70000", "20-10", "x", "1;rm"])("the host port %s is refused", (HostPort) => {
    expect(() => portRequests({ PortBindings: { "80/tcp": [{ HostIp: "", HostPort }] } }, {})).toThrow(
      "invalid hostPort",
    );
  });
  test("an address that is none is refused", () => {
    const binding = { HostIp: "1.2.3.4 -j ACCEPT", HostPort: "1" };
    expect(() => portRequests({ PortBindings: { "80/tcp": [binding] } }, {})).toThrow("invalid IP address");
  });
});

test("the hosts file of a container without a network has the extra hosts", () => {
  const text = plainHosts(record({ hostConfig: { ExtraHosts: ["a:1.2.3.4", "b:[::5]", "gw:host-gateway"] } }));
  expect(text).toContain("1.2.3.4\ta\n::5\tb\n");
  expect(text).not.toContain("gw");
});
