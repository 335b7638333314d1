import { afterEach, beforeEach, expect, test } from "vitest";
import { saveRules } from "../../../src/host/iptables.ts";
import type { SandboxRequest } from "../../../src/network/types.ts";
import { askTcp, askUdp, blockedMs, endpoint, Lab, openUdp, serveTcp, type Box } from "./lab.ts";

let lab: Lab;
let net: string;
beforeEach(async () => {
  lab = await Lab.create();
  lab.outside("198.51.100.1", "198.51.100.2");
  net = await lab.network("n1");
  for (const number of [18501, 18502]) {
    lab.onEnd(serveTcp(undefined, "127.0.0.1", number, "host").close);
    lab.onEnd(openUdp(undefined, "127.0.0.1", number, "host").close);
  }
});
afterEach(async () => {
  expect(await lab.dispose()).toEqual([]);
});

const access: Partial<SandboxRequest> = {
  hostAccess: [
    { port: 18501, protocol: "tcp" },
    { port: 18501, protocol: "udp" },
  ],
};
const gateway = (box: Box): string => box.state.endpoints[0]?.ipv4?.gateway ?? "";

test("a container reaches the ports of the host's 127.0.0.1 that it asked for, at host.docker.internal, and no others", async () => {
  const a = await lab.box("a", [net], access);
  expect(await askTcp(a.netns, gateway(a), 18501)).toBe(`host ${a.ip}`);
  expect(await askUdp(a.netns, gateway(a), 18501)).toBe(`host ${a.ip}`);
  expect(await askTcp(a.netns, gateway(a), 18502, blockedMs)).toBe("ECONNREFUSED");
  expect(await askTcp(a.netns, "198.51.100.1", 18501, blockedMs)).toBe("ECONNREFUSED");
  expect(
    lab.log.filter((line) => line.includes("may reach 127.0.0.1 of this host: 18501/tcp, 18501/udp")),
  ).toHaveLength(1);
});

test("its neighbours do not, other networks do not, and it ends with the container", async () => {
  const n2 = await lab.network("n2");
  const a = await lab.box("a", [net], access);
  const [b, c] = [await lab.box("b", [net]), await lab.box("c", [n2])];
  expect(await askTcp(b.netns, gateway(a), 18501, blockedMs)).toBe("ECONNREFUSED");
  for (const address of [gateway(a), gateway(c)]) {
    expect(await askTcp(c.netns, address, 18501, blockedMs)).not.toMatch(/^host/);
  }
  await lab.remove(a);
  expect(await saveRules(4)).not.toContain("18501");
});

test("an engine restart keeps it, and it follows the default route to another network", async () => {
  const n2 = await lab.network("n2");
  const a = await lab.box("a", [net], access);
  await lab.networking.close();
  expect(await askTcp(a.netns, gateway(a), 18501)).toMatch(/^host/);
  await lab.startNetworking();
  await lab.networking.adoptSandbox({ ...a.request, netnsFd: a.netns }, a.state);
  await lab.networking.reconcile();
  expect(lab.log.filter((line) => line.includes("repaired"))).toEqual([]);
  const second = await lab.networking.connect(a.id, endpoint(n2));
  await lab.networking.disconnect(a.id, net);
  expect(await askTcp(a.netns, second.ipv4?.gateway ?? "", 18501)).toMatch(/^host/);
  expect(await saveRules(4)).not.toContain(`-s ${a.ip}/32`);
});

test("where only internal networks are, it is refused and leaves nothing", async () => {
  const inner = await lab.network("inner", { Internal: true });
  await expect(lab.box("a", [inner], access)).rejects.toThrow("has no network that leads to it");
  expect(await saveRules(4)).not.toContain("18501");
});
