/** Many of everything. TSCOMPOSE_NETWORKS: how many networks before the pool is used up (32; 4096 is what must hold, a power of two).
 *  TSCOMPOSE_CYCLES: how often a container joins and leaves (50; 10,000 is what must hold). */
import { expect, test } from "vitest";
import { takeSnapshot, compareSnapshots } from "../../support/leak-audit.ts";
import { deleteLinks } from "../../../src/network/endpoint-links.ts";
import { endpoint, Lab } from "./lab.ts";

const networks = Number(process.env["TSCOMPOSE_NETWORKS"] ?? "32");
const cycles = Number(process.env["TSCOMPOSE_CYCLES"] ?? "50");

test(
  `${networks} networks fit into a pool of as many /26, the next is refused by name of pool, users and setting, and one that goes makes room`,
  async () => {
    const base = `10.64.0.0/${26 - Math.log2(networks)}`;
    const lab = await Lab.create([{ base, size: 26 }]);
    // Docker's own range is not in the pool, so that the default bridge takes nothing of it.
    const names = Array.from({ length: networks }, (_, n) => `n${n}`);
    const start = performance.now();
    for (const name of names) await lab.network(name);
    const took = performance.now() - start;
    const subnets = lab.networking.list().flatMap(({ IPAM }) => IPAM.Config.map(({ Subnet }) => Subnet ?? ""));
    expect(new Set(subnets.filter((text) => text.startsWith("10."))).size).toBe(networks);
    const users = networks.toLocaleString("en-US");
    const more = (networks - 3).toLocaleString("en-US");
    await expect(lab.network("more")).rejects.toMatchObject({
      code: "network/pool-exhausted",
      message: `all predefined address pools have been fully subnetted: ${base} (/26 each); in the way: ${users} networks (n0, n1, n2 and ${more} more)`,
      hint: expect.stringContaining("TSCOMPOSE_ADDRESS_POOLS") as string,
    });
    await lab.networking.remove("n7");
    await lab.network("more");
    expect(lab.networking.inspect("more").IPAM.Config[0]?.Subnet).toBe("10.64.1.192/26");
    const box = await lab.box("a", [`n${networks - 1}`]);
    expect(box.state.endpoints[0]?.ipv4?.address).not.toBe("");
    await lab.remove(box);
    await Promise.all(["more", ...names.filter((name) => name !== "n7")].map((name) => lab.networking.remove(name)));
    if (networks > 100) process.stderr.write(`${networks} networks in ${(took / 1000).toFixed(1)} s\n`);
    expect(await lab.dispose()).toEqual([]);
  },
  60_000 + networks * 300,
);

test(
  `${cycles} times joined and left: no address lost, no link, no rule`,
  async () => {
    const lab = await Lab.create();
    const [n1, n2] = [await lab.network("n1"), await lab.network("n2", { EnableIPv6: true })];
    const [a, b] = [await lab.box("a", [n1]), await lab.box("b", [n2])];
    const before = await takeSnapshot();
    const seen = new Set<string>();
    for (let n = 0; n < cycles; n += 1) {
      const state = await lab.networking.connect(a.id, endpoint(n2, { aliases: ["twice"] }));
      seen.add(`${state.ipv4?.address} ${state.ipv6?.address} ${state.interfaceName}`);
      await lab.networking.disconnect(a.id, n2);
    }
    expect([...seen]).toHaveLength(1); // always the lowest free address: none is lost
    expect(Object.keys(lab.networking.inspect(n2).Containers)).toEqual([b.id]);
    const kinds = new Set(["link", "fdb", "address", "route", "rule", "iptables", "nftables"]);
    const left = compareSnapshots(before, await takeSnapshot()).filter(({ kind }) => kinds.has(kind));
    // The bridge's own link-local address comes a second after the bridge.
    expect(left.filter(({ what }) => !what.includes("fe80::"))).toEqual([]);
    await lab.networking.remove(n2).then(
      () => expect.unreachable("b is in it"),
      (error: unknown) => expect(error).toMatchObject({ code: "network/in-use" }),
    );
    await lab.remove(b);
    await lab.networking.remove(n2);
    expect(await lab.dispose()).toEqual([]);
  },
  60_000 + cycles * 200,
);

test("thousands of links may go at once: they wait for their turn", async () => {
  const going = Array.from({ length: 3000 }, (_, n) => deleteLinks([`tsxgone${n}`]));
  expect(await Promise.all(going)).toHaveLength(3000);
});
