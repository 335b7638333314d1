import { execFileSync } from "node:child_process";
import { afterEach, beforeEach, expect, test } from "vitest";
import { inNetns } from "../../../src/host/netns.ts";
import { askTcp, askUdp, blockedMs, endpoint, Lab, openUdp, port, serveTcp } from "./lab.ts";

let lab: Lab;
beforeEach(async () => {
  lab = await Lab.create();
});
afterEach(async () => {
  expect(await lab.dispose()).toEqual([]);
});

const hostAddress = "198.51.100.1";
const outsideAddress = "198.51.100.2";

test("containers of one network reach each other by address, and the addresses are the lowest free ones", async () => {
  const net = await lab.network("n1");
  const [a, b] = [await lab.box("a", [net]), await lab.box("b", [net])];
  const server = serveTcp(b.netns, "0.0.0.0", 80, "b");
  lab.onEnd(server.close);
  expect(await askTcp(a.netns, b.ip, 80)).toBe(`b ${a.ip}`);
  const last = (text: string): number => Number(text.split(".")[3]);
  expect([last(a.ip), last(b.ip)]).toEqual([2, 3]);
});

test("a route that comes to overlap a network is told in the list, and a new network keeps clear of it", async () => {
  const net = await lab.network("n1");
  await lab.box("a", [net]);
  const overlapsOf = (): readonly string[] | undefined =>
    lab.networking.list().find(({ Name }) => Name === "n1")?.Overlaps;
  expect(overlapsOf()).toBeUndefined();
  const subnet = lab.networking.inspect("n1").IPAM.Config[0]?.Subnet ?? "";
  const wide = subnet.replace(/\.\d+\/26$/, ".0/24");
  execFileSync("ip", ["route", "add", "blackhole", wide]);
  lab.onEnd(() => void execFileSync("ip", ["route", "del", "blackhole", wide]));
  expect(overlapsOf()).toEqual([wide]);
  await lab.network("n2");
  const other = lab.networking.inspect("n2").IPAM.Config[0]?.Subnet ?? "";
  expect(other.startsWith(wide.replace(/\.0\/24$/, "."))).toBe(false);
});

test("containers of different networks do not reach each other", async () => {
  const [n1, n2] = [await lab.network("n1"), await lab.network("n2")];
  const [a, b] = [await lab.box("a", [n1]), await lab.box("b", [n2])];
  lab.onEnd(serveTcp(b.netns, "0.0.0.0", 80, "b").close);
  expect(await askTcp(a.netns, b.ip, 80, blockedMs)).toBe("timeout");
  expect(await askTcp(undefined, b.ip, 80)).toMatch(/^b /); // the host does, as with Docker
});

test("a published port answers on every address of the host, on 127.0.0.1 and on [::1]", async () => {
  const net = await lab.network("n1");
  const outside = lab.outside(hostAddress, outsideAddress);
  const web = await lab.box("web", [net], { ports: [port(80, 18081)] });
  lab.onEnd(serveTcp(web.netns, "0.0.0.0", 80, "web").close);
  expect(await askTcp(undefined, "127.0.0.1", 18081)).toMatch(/^web /);
  expect(await askTcp(undefined, "::1", 18081)).toMatch(/^web /);
  expect(await askTcp(undefined, hostAddress, 18081)).toMatch(/^web /);
  expect(await askTcp(outside, hostAddress, 18081)).toBe(`web ${outsideAddress}`);
  expect(web.state.ports.map(({ hostIp, hostPort }) => `${hostIp} ${hostPort}`)).toEqual(["0.0.0.0 18081", ":: 18081"]);
});

test("a published port answers containers of the same network, of another one, and the container itself", async () => {
  const [n1, n2] = [await lab.network("n1"), await lab.network("n2")];
  lab.outside(hostAddress, outsideAddress);
  const web = await lab.box("web", [n1], { ports: [port(80, 18082)] });
  const [near, far] = [await lab.box("near", [n1]), await lab.box("far", [n2])];
  lab.onEnd(serveTcp(web.netns, "0.0.0.0", 80, "web").close);
  for (const box of [near, far, web]) expect(await askTcp(box.netns, hostAddress, 18082)).toMatch(/^web /);
});

test("what was not published does not answer from outside, and container addresses are not reachable directly", async () => {
  const net = await lab.network("n1");
  const outside = lab.outside(hostAddress, outsideAddress);
  const web = await lab.box("web", [net], { ports: [port(80, 18083)] });
  for (const number of [80, 81]) lab.onEnd(serveTcp(web.netns, "0.0.0.0", number, "web").close);
  expect(await askTcp(outside, web.ip, 80, blockedMs)).toBe("timeout");
  expect(await askTcp(outside, web.ip, 81, blockedMs)).toBe("timeout");
  expect(await askTcp(outside, hostAddress, 81)).toBe("ECONNREFUSED");
});

test("a port that is published on 127.0.0.1 answers this host and no neighbour, not even one that claims to be it", async () => {
  const net = await lab.network("n1");
  const outside = lab.outside(hostAddress, outsideAddress);
  const web = await lab.box("web", [net], { ports: [port(80, 18084, { hostIp: "127.0.0.1" })] });
  const other = await lab.box("other", [net]);
  lab.onEnd(serveTcp(web.netns, "0.0.0.0", 80, "web").close);
  expect(await askTcp(undefined, "127.0.0.1", 18084)).toMatch(/^web /);
  expect(await askTcp(outside, hostAddress, 18084)).toBe("ECONNREFUSED");
  for (const place of [outside, other.netns]) {
    // Its own loopback is out of the way, so that packets for 127.0.0.1 go to this host.
    inNetns(place, () => {
      execFileSync("ip", ["addr", "del", "127.0.0.1/8", "dev", "lo"]);
      execFileSync("sh", ["-c", "echo 1 > /proc/sys/net/ipv4/conf/eth0/route_localnet"]);
      execFileSync("ip", [
        "route",
        "add",
        "127.0.0.1/32",
        "via",
        place === outside ? hostAddress : gatewayOf(other.state),
        "dev",
        "eth0",
      ]);
    });
    expect(await askTcp(place, "127.0.0.1", 18084, blockedMs)).toBe("timeout");
  }
});

function gatewayOf(state: {
  readonly endpoints: readonly { readonly ipv4: { readonly gateway: string } | undefined }[];
}): string {
  return state.endpoints[0]?.ipv4?.gateway ?? "";
}

test("udp ports are published, from outside, from the host and on [::1]", async () => {
  const net = await lab.network("n1");
  const outside = lab.outside(hostAddress, outsideAddress);
  const web = await lab.box("web", [net], { ports: [port(53, 18085, { protocol: "udp" })] });
  lab.onEnd(openUdp(web.netns, "0.0.0.0", 53, "web").close);
  expect(await askUdp(outside, hostAddress, 18085)).toBe(`web ${outsideAddress}`);
  expect(await askUdp(undefined, "127.0.0.1", 18085)).toMatch(/^web /);
  expect(await askUdp(undefined, "::1", 18085)).toMatch(/^web /);
});

test("containers reach the outside with an address of the host", async () => {
  const net = await lab.network("n1");
  const outside = lab.outside(hostAddress, outsideAddress, { via: false });
  const a = await lab.box("a", [net]);
  lab.onEnd(serveTcp(outside, "0.0.0.0", 80, "outside").close);
  expect(await askTcp(a.netns, outsideAddress, 80)).toBe(`outside ${hostAddress}`);
});

test("a container of an internal network reaches its neighbours and nothing else", async () => {
  const [inner, n1] = [await lab.network("inner", { Internal: true }), await lab.network("n1")];
  const outside = lab.outside(hostAddress, outsideAddress, { via: false });
  const [a, b] = [await lab.box("a", [inner]), await lab.box("b", [inner])];
  const web = await lab.box("web", [n1], { ports: [port(80, 18086)] });
  for (const box of [b, web]) lab.onEnd(serveTcp(box.netns, "0.0.0.0", 80, box.name).close);
  lab.onEnd(serveTcp(outside, "0.0.0.0", 80, "outside").close);
  lab.onEnd(serveTcp(undefined, "0.0.0.0", 18087, "host").close);
  const gateway = lab.networking.inspect(inner).IPAM.Config[0]?.Gateway ?? "";
  inNetns(a.netns, () => execFileSync("ip", ["route", "add", "default", "via", gateway]));
  expect(await askTcp(a.netns, b.ip, 80)).toMatch(/^b /);
  expect(await askTcp(a.netns, outsideAddress, 80, blockedMs)).toBe("timeout");
  expect(await askTcp(a.netns, web.ip, 80, blockedMs)).toBe("timeout");
  for (const address of [gateway, hostAddress]) {
    expect(await askTcp(a.netns, address, 18086, blockedMs)).toBe("timeout");
    expect(await askTcp(a.netns, address, 18087, blockedMs)).toBe("timeout");
  }
  expect(await askTcp(undefined, b.ip, 80)).toMatch(/^b /);
});

test("with icc off, neighbours do not reach each other but published ports do answer", async () => {
  const options = { "com.docker.network.bridge.enable_icc": "false" };
  const net = await lab.network("n1", { Options: options });
  lab.outside(hostAddress, outsideAddress);
  const [a, b] = [await lab.box("a", [net]), await lab.box("b", [net], { ports: [port(80, 18088)] })];
  lab.onEnd(serveTcp(b.netns, "0.0.0.0", 80, "b").close);
  expect(await askTcp(a.netns, b.ip, 80, blockedMs)).toMatch(/timeout|EHOSTUNREACH/);
  expect(await askTcp(a.netns, hostAddress, 18088)).toMatch(/^b /);
});

test("a container in two networks reaches both and is connected and disconnected while it runs", async () => {
  const [n1, n2] = [await lab.network("n1"), await lab.network("n2")];
  const [a, b] = [await lab.box("a", [n1]), await lab.box("b", [n2])];
  lab.onEnd(serveTcp(b.netns, "0.0.0.0", 80, "b").close);
  expect(await askTcp(a.netns, b.ip, 80, blockedMs)).toBe("timeout");
  const state = await lab.networking.connect(a.id, endpoint(n2, { aliases: ["second"] }));
  expect(state.interfaceName).toBe("eth1");
  expect(await askTcp(a.netns, b.ip, 80)).toBe(`b ${state.ipv4?.address}`);
  await expect(lab.networking.connect(a.id, endpoint(n2))).rejects.toThrow(/already exists in network n2/);
  await lab.networking.disconnect(a.id, n2);
  expect(await askTcp(a.netns, b.ip, 80, blockedMs)).toBe("timeout");
  expect(Object.keys(lab.networking.inspect(n2).Containers)).toEqual([b.id]);
});

test("a port in use is refused with its owner and leaves nothing behind", async () => {
  const net = await lab.network("n1");
  const server = serveTcp(undefined, "127.0.0.1", 18089, "host");
  lab.onEnd(server.close);
  const wanted = { ports: [port(80, 18090), port(81, 18089)] };
  await expect(lab.box("a", [net], wanted)).rejects.toThrow(
    /failed to bind host port 0\.0\.0\.0:18089\/tcp: address already in use by .*pid \d+/,
  );
  const b = await lab.box("b", [net], { ports: [port(80, 18090)] });
  await expect(lab.box("c", [net], { ports: [port(80, 18090)] })).rejects.toThrow(
    /Bind for 0\.0\.0\.0:18090 failed: port is already allocated by container b/,
  );
  expect(Object.keys(lab.networking.inspect(net).Containers)).toEqual([b.id]);
  expect(b.ip.split(".")[3]).toBe("2");
});

test("a range takes the first free port and port 0 any", async () => {
  const net = await lab.network("n1");
  const range = port(80, 18091, { hostPortEnd: 18093 });
  const a = await lab.box("a", [net], { ports: [range] });
  const b = await lab.box("b", [net], { ports: [range, port(81, 0)] });
  expect(a.state.ports[0]?.hostPort).toBe(18091);
  expect(b.state.ports[0]?.hostPort).toBe(18092);
  expect(
    b.state.ports.filter(({ containerPort }) => containerPort === 81).every(({ hostPort }) => hostPort > 1024),
  ).toBe(true);
});

test("networks that do not masquerade still reach the published ports of others", async () => {
  const options = { "com.docker.network.bridge.enable_ip_masquerade": "false" };
  const [n1, n2] = [await lab.network("n1", { Options: options }), await lab.network("n2")];
  lab.outside(hostAddress, outsideAddress);
  const [a, web] = [await lab.box("a", [n1]), await lab.box("web", [n2], { ports: [port(80, 18094)] })];
  lab.onEnd(serveTcp(web.netns, "0.0.0.0", 80, "web").close);
  expect(await askTcp(a.netns, hostAddress, 18094)).toMatch(/^web /);
});

test("a static address, a name for the interface, its sysctls and link-local addresses are taken over", async () => {
  const IPAM = {
    Config: [{ Subnet: "10.99.8.0/24", IPRange: "10.99.8.128/25", AuxiliaryAddresses: { x: "10.99.8.129" } }],
  };
  const net = await lab.network("n1", { IPAM });
  const driverOptions = {
    "com.docker.network.endpoint.ifname": "lan0",
    "com.docker.network.endpoint.sysctls": "net.ipv4.conf.IFNAME.log_martians=1",
  };
  const wanted = endpoint(net, { ipv4: "10.99.8.7", driverOptions, linkLocalIps: ["169.254.7.7"] });
  const a = await lab.box("a", [wanted], { sysctls: { "net.ipv4.ip_unprivileged_port_start": "80" } });
  const shown = inNetns(a.netns, () => execFileSync("ip", ["-o", "addr", "show", "lan0"]).toString());
  expect(shown).toContain("10.99.8.7/24");
  expect(shown).toContain("169.254.7.7/16");
  const sysctl = (key: string): string =>
    inNetns(a.netns, () =>
      execFileSync("cat", [`/proc/sys/${key}`])
        .toString()
        .trim(),
    );
  expect(sysctl("net/ipv4/conf/lan0/log_martians")).toBe("1");
  expect(sysctl("net/ipv4/ip_unprivileged_port_start")).toBe("80");
  const b = await lab.box("b", [net]);
  expect(b.ip).toBe("10.99.8.130"); // the range starts with the gateway, then comes the reserved one
  await expect(lab.box("c", [net], { sysctls: { "kernel.hostname": "x" } })).rejects.toThrow(
    "does not belong to a network namespace",
  );
});

test("the highest priority gives the default route, ties go by name, and it moves on when that network is left", async () => {
  const [n1, n2] = [await lab.network("n1"), await lab.network("n2")];
  const a = await lab.box("a", [n1, endpoint(n2, { gatewayPriority: 5 })]);
  const route = (): string => inNetns(a.netns, () => execFileSync("ip", ["route", "show", "default"]).toString());
  const gateway = (index: number): string => a.state.endpoints[index]?.ipv4?.gateway ?? "?";
  expect(route()).toContain(`via ${gateway(1)} `);
  await lab.networking.disconnect(a.id, n2);
  expect(route()).toContain(`via ${gateway(0)} `);
});

test("a container gets its earlier addresses back where they are free", async () => {
  const net = await lab.network("n1");
  const [a, b] = [await lab.box("a", [net]), await lab.box("b", [net])];
  await lab.remove(a);
  await lab.remove(b);
  const again = await lab.box("b", [net], { previous: b.state.endpoints });
  expect(again.ip).toBe(b.ip);
});

test("connecting and disconnecting over and over loses no address", async () => {
  const [n1, n2] = [await lab.network("n1"), await lab.network("n2")];
  const a = await lab.box("a", [n1]);
  const seen = new Set<string>();
  for (let n = 0; n < 80; n += 1) {
    const state = await lab.networking.connect(a.id, endpoint(n2));
    seen.add(state.ipv4?.address ?? "");
    await lab.networking.disconnect(a.id, n2);
  }
  expect(seen.size).toBe(1); // more than the network has addresses, and always the same one
});
