import { afterEach, beforeEach, expect, test } from "vitest";
import { askTcp, askUdp, blockedMs, endpoint, Lab, openUdp, port, serveTcp } from "./lab.ts";

let lab: Lab;
beforeEach(async () => {
  lab = await Lab.create();
});
afterEach(async () => {
  expect(await lab.dispose()).toEqual([]);
});

const hostAddress = "2001:db8:5::1";
const outsideAddress = "2001:db8:5::2";

test("EnableIPv6 alone gives a unique local subnet, and containers reach each other by both families", async () => {
  const net = await lab.network("n1", { EnableIPv6: true });
  const [a, b] = [await lab.box("a", [net]), await lab.box("b", [net])];
  expect(b.ip6).toMatch(/^fd/);
  lab.onEnd(serveTcp(b.netns, "::", 80, "b").close);
  expect(await askTcp(a.netns, b.ip6, 80)).toBe(`b ${a.ip6}`);
  expect(await askTcp(a.netns, b.ip, 80)).toMatch(/^b /);
});

test("a port of an IPv6 network is published through NAT, on [::1] too, and the container address is not reachable directly", async () => {
  const net = await lab.network("n1", { EnableIPv6: true });
  const outside = lab.outside(hostAddress, outsideAddress);
  const web = await lab.box("web", [net], { ports: [port(80, 18121), port(81, 18121, { protocol: "udp" })] });
  lab.onEnd(serveTcp(web.netns, "::", 80, "web").close);
  lab.onEnd(openUdp(web.netns, "::", 81, "web").close);
  expect(await askTcp(outside, hostAddress, 18121)).toBe(`web ${outsideAddress}`);
  expect(await askUdp(outside, hostAddress, 18121)).toBe(`web ${outsideAddress}`);
  expect(await askTcp(undefined, "::1", 18121)).toMatch(/^web /);
  expect(await askTcp(undefined, hostAddress, 18121)).toMatch(/^web /);
  expect(await askTcp(outside, web.ip6, 80, blockedMs)).toBe("timeout");
});

test("networks are kept apart in IPv6 too, and containers reach the outside", async () => {
  const [n1, n2] = [await lab.network("n1", { EnableIPv6: true }), await lab.network("n2", { EnableIPv6: true })];
  const outside = lab.outside(hostAddress, outsideAddress, { via: false });
  const [a, b] = [await lab.box("a", [n1]), await lab.box("b", [n2])];
  lab.onEnd(serveTcp(b.netns, "::", 80, "b").close);
  lab.onEnd(serveTcp(outside, "::", 80, "outside").close);
  expect(await askTcp(a.netns, b.ip6, 80, blockedMs)).toBe("timeout");
  expect(await askTcp(a.netns, outsideAddress, 80)).toBe(`outside ${hostAddress}`);
});

test("a network without IPv4 works", async () => {
  const net = await lab.network("n1", { EnableIPv4: false, EnableIPv6: true });
  const [a, b] = [await lab.box("a", [net]), await lab.box("b", [endpoint(net)], { ports: [port(80, 18122)] })];
  expect(b.state.endpoints[0]?.ipv4).toBeUndefined();
  lab.onEnd(serveTcp(b.netns, "::", 80, "b").close);
  expect(await askTcp(a.netns, b.ip6, 80)).toMatch(/^b /);
  expect(await askTcp(undefined, "::1", 18122)).toMatch(/^b /);
  expect(await askTcp(undefined, "127.0.0.1", 18122)).toMatch(/^b /);
});

test("a static IPv6 address is taken", async () => {
  const IPAM = { Config: [{ Subnet: "fd00:aaaa::/64" }, { Subnet: "10.99.7.0/24", Gateway: "10.99.7.254" }] };
  const net = await lab.network("n1", { EnableIPv6: true, IPAM });
  const a = await lab.box("a", [
    endpoint(net, { ipv6: "fd00:aaaa::77", ipv4: "10.99.7.9", macAddress: "02:42:0a:63:07:99" }),
  ]);
  expect(a.state.endpoints[0]).toMatchObject({
    macAddress: "02:42:0a:63:07:99",
    ipv4: { address: "10.99.7.9", prefixLength: 24, gateway: "10.99.7.254" },
    ipv6: { address: "fd00:aaaa::77", prefixLength: 64, gateway: "fd00:aaaa::1" },
  });
  await expect(lab.box("b", [endpoint(net, { ipv4: "10.99.7.9" })])).rejects.toThrow(/Address already in use/);
});
