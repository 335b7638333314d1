import { expect, test } from "vitest";
import { parseExtraHost, parseResolvConf, renderHostsFile, renderResolvConf } from "../../../src/network/etc-files.ts";

test("the hosts file has localhost, extra hosts, and the container's own names at its addresses", () => {
  const text = renderHostsFile({
    hostname: "web.example.org",
    addresses: ["172.18.0.2", "fd00::2"],
    extraHosts: [
      "db:10.0.0.5",
      "host.docker.internal:host-gateway",
      "six:[fd00::9]",
      "broken",
      "evil:1.2.3.4\n6.6.6.6 x",
    ],
    hostGateway: "172.18.0.1",
  });
  expect(text).toBe(`127.0.0.1	localhost
::1	localhost ip6-localhost ip6-loopback
fe00::	ip6-localnet
ff00::	ip6-mcastprefix
ff02::1	ip6-allnodes
ff02::2	ip6-allrouters
10.0.0.5	db
172.18.0.1	host.docker.internal
fd00::9	six
172.18.0.2	web.example.org web
fd00::2	web.example.org web
`);
});

test("extra hosts may be written with an equals sign, and host-gateway needs a gateway", () => {
  expect(parseExtraHost("a=10.0.0.1", undefined)).toEqual({ name: "a", address: "10.0.0.1" });
  expect(parseExtraHost("a:host-gateway", undefined)).toBeUndefined();
});

test("the resolver configuration names the engine's resolver and says where it forwards to", () => {
  const text = renderResolvConf({ search: ["corp.example"], options: ["timeout:2"], upstream: ["192.0.2.53"] });
  expect(text).toContain("nameserver 127.0.0.11\nsearch corp.example\noptions timeout:2 ndots:0\n");
  expect(text).toContain("[192.0.2.53]");
  expect(renderResolvConf({ search: ["."], options: ["ndots:2"], upstream: [] })).toContain("options ndots:2\n");
});

test("the host's configuration is read past comments and rubbish", () => {
  expect(
    parseResolvConf("# x\nnameserver 192.0.2.1 ; c\nnameserver nonsense\nsearch a b\noptions ndots:1 edns0\n"),
  ).toEqual({
    servers: ["192.0.2.1"],
    search: ["a", "b"],
    options: ["ndots:1", "edns0"],
  });
});
