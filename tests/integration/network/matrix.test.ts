/** Who reaches what: every cell of the table below is asked, over tcp and udp, IPv4 and IPv6, from where the asker stands.
 *  Source: issue 6, must-show 1; security.md section 7 (N-02 to N-06). */
import { execFileSync } from "node:child_process";
import { closeSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createNetns, inNetns } from "../../../src/host/netns.ts";
import { askTcp, askUdp, Lab, openUdp, port, serveTcp, type Box, type Place } from "./lab.ts";

/** Ways to a port of a container. `@host`: an address of the host and the published port; `@container`: the container's own address;
 *  `@loopback`: the host's 127.0.0.1 and ::1, which others try to get routed to the host. */
const ways = [
  "published@host",
  "published@container",
  "unpublished@container",
  "loopback@host",
  "loopback@container",
  "loopback@loopback",
] as const;
type Way = (typeof ways)[number];
const places = ["same network", "other network", "internal", "host", "neighbour host", "outside"] as const;
type PlaceName = (typeof places)[number];

/** Columns as `ways`. Rows: where the asker stands. */
const toOrdinaryNetwork: Readonly<Record<PlaceName, string>> = {
  "same network": "yes yes yes no yes no",
  "other network": "yes no no no no no",
  internal: "no no no no no no",
  host: "yes yes yes no yes yes",
  "neighbour host": "yes no no no no no",
  outside: "yes no no no no no",
};
/** `same network` is the internal one here, and `internal` another internal one. Ports of internal networks are not published. */
const toInternalNetwork: Readonly<Record<PlaceName, string>> = {
  "same network": "no yes yes no yes no",
  "other network": "no no no no no no",
  internal: "no no no no no no",
  host: "no yes yes no yes no",
  "neighbour host": "no no no no no no",
  outside: "no no no no no no",
};

const host = { 4: "198.51.100.1", 6: "2001:db8:1::1" } as const;
const containerPorts = { published: 8001, unpublished: 8002, loopback: 8003 } as const;
const forbiddenMs = 400;

describe("reachability", () => {
  let lab: Lab;
  const askers = new Map<string, Place>();
  const targets = new Map<string, Box>();

  beforeAll(async () => {
    lab = await Lab.create();
    const { neighbour, far } = neighbourhood();
    const v6 = { EnableIPv6: true };
    const n1 = await lab.network("n1", v6);
    const n2 = await lab.network("n2", v6);
    const i1 = await lab.network("i1", { ...v6, Internal: true });
    const i2 = await lab.network("i2", { ...v6, Internal: true });
    for (const [name, net, base] of [
      ["ordinary", n1, 18400],
      ["inner", i1, 18410],
    ] as const) {
      const published = (["tcp", "udp"] as const).flatMap((protocol) => [
        port(containerPorts.published, base, { protocol }),
        port(containerPorts.loopback, base + 1, { protocol, hostIp: "127.0.0.1" }),
        port(containerPorts.loopback, base + 1, { protocol, hostIp: "::1" }),
      ]);
      const box = await lab.box(name, [net], { ports: published });
      for (const number of Object.values(containerPorts)) {
        lab.onEnd(serveTcp(box.netns, "::", number, name).close);
        lab.onEnd(openUdp(box.netns, "::", number, name).close);
      }
      targets.set(name, box);
    }
    const asker = async (name: string, net: string): Promise<void> => {
      const box = await lab.box(name.replaceAll(" ", "-"), [net]);
      askers.set(name, box.netns);
      const gateways = lab.networking.inspect(net).IPAM.Config.flatMap(({ Gateway }) => Gateway ?? []);
      // One that does not take no for an answer: routes to everything, to the host's loopback addresses too.
      inNetns(box.netns, () => {
        for (const gateway of gateways) tryIp(["route", "replace", "default", "via", gateway]);
        for (const gateway of gateways)
          tryIp(["route", "replace", gateway.includes(":") ? "::1/128" : "127.0.0.1/32", "via", gateway]);
      });
    };
    await asker("same network", n1);
    await asker("other network", n2);
    await asker("internal", i2);
    await asker("same internal network", i1);
    askers.set("host", undefined);
    askers.set("neighbour host", neighbour);
    askers.set("outside", far);
  });
  afterAll(async () => {
    expect(await lab.dispose()).toEqual([]);
  });

  for (const [kind, target, table] of [
    ["a container of an ordinary network", "ordinary", toOrdinaryNetwork],
    ["a container of an internal network", "inner", toInternalNetwork],
  ] as const) {
    test.each(places)(`${kind}, asked from: %s`, async (place) => {
      const asker = target === "inner" && place === "same network" ? "same internal network" : place;
      const specified = (table[place] ?? "").split(" ");
      const cells = ways.flatMap((way, column) =>
        (["tcp", "udp"] as const).flatMap((protocol) =>
          ([4, 6] as const).map((family) => ({ way, protocol, family, specified: specified[column] ?? "?" })),
        ),
      );
      const found = await Promise.all(
        cells.map(async (cell) => {
          const answer = await ask(askers.get(asker), at(cell, target), cell);
          return { ...cell, found: answer.startsWith(`${target} `) ? "yes" : "no" };
        }),
      );
      const line = (cell: (typeof cells)[number], answer: string): string =>
        `${cell.way} ${cell.protocol} IPv${cell.family}: ${answer}`;
      expect(found.map((cell) => line(cell, cell.found))).toEqual(cells.map((cell) => line(cell, cell.specified)));
    });
  }

  function at(
    cell: { readonly way: Way; readonly family: 4 | 6 },
    target: string,
  ): { readonly address: string; readonly number: number } {
    const [kind = "", where = ""] = cell.way.split("@");
    const box = targets.get(target);
    if (where === "container") {
      const address = (cell.family === 4 ? box?.ip : box?.ip6) ?? "";
      return { address, number: containerPorts[kind as keyof typeof containerPorts] };
    }
    const base = target === "ordinary" ? 18400 : 18410;
    const loopback = cell.family === 4 ? "127.0.0.1" : "::1";
    return { address: where === "host" ? host[cell.family] : loopback, number: kind === "published" ? base : base + 1 };
  }

  /** A neighbour on the same cable and a host behind it, which know the way to everything, containers included. */
  function neighbourhood(): { readonly neighbour: number; readonly far: number } {
    const [neighbour, far] = [createNetns(), createNetns()];
    const [near, middle] = ["tsmnear", "tsmfar"];
    const ip = (place: Place, ...lines: readonly string[]): void => {
      const run = (): void => lines.forEach((line) => void execFileSync("ip", line.split(" ")));
      if (place === undefined) run();
      else inNetns(place, run);
    };
    ip(undefined, `link add ${near} type veth peer name eth0 netns /proc/${process.pid}/fd/${neighbour}`);
    inNetns(neighbour, () => {
      execFileSync("ip", `link add ${middle} type veth peer name eth0 netns /proc/${process.pid}/fd/${far}`.split(" "));
      execFileSync("sysctl", ["-qw", "net.ipv4.ip_forward=1", "net.ipv6.conf.all.forwarding=1"]);
    });
    ip(
      undefined,
      `addr add ${host[4]}/24 dev ${near}`,
      `-6 addr add ${host[6]}/64 dev ${near} nodad`,
      `link set ${near} up`,
      `route add 203.0.113.0/24 via 198.51.100.2`,
      `-6 route add 2001:db8:2::/64 via 2001:db8:1::2`,
    );
    ip(
      neighbour,
      "link set lo up",
      "addr add 198.51.100.2/24 dev eth0",
      "-6 addr add 2001:db8:1::2/64 dev eth0 nodad",
      "link set eth0 up",
      `addr add 203.0.113.1/24 dev ${middle}`,
      `-6 addr add 2001:db8:2::1/64 dev ${middle} nodad`,
      `link set ${middle} up`,
      `route add default via ${host[4]}`,
      `-6 route add default via ${host[6]}`,
      `route replace 127.0.0.1/32 via ${host[4]} dev eth0`,
    );
    ip(
      far,
      "link set lo up",
      "addr add 203.0.113.2/24 dev eth0",
      "-6 addr add 2001:db8:2::2/64 dev eth0 nodad",
      "link set eth0 up",
      "route add default via 203.0.113.1",
      "-6 route add default via 2001:db8:2::1",
    );
    lab.onEnd(() => {
      execFileSync("ip", ["link", "del", near]);
      closeSync(far);
      closeSync(neighbour);
    });
    return { neighbour, far };
  }
});

/** An answer that must come may take its time, and a datagram may get lost; one that must not come is waited for only shortly. */
async function ask(
  place: Place,
  to: { readonly address: string; readonly number: number },
  cell: { readonly protocol: "tcp" | "udp"; readonly specified: string },
): Promise<string> {
  const once = cell.protocol === "tcp" ? askTcp : askUdp;
  const attempts = cell.specified === "yes" && cell.protocol === "udp" ? 3 : 1;
  let answer = "";
  for (let n = 0; n < attempts && !answer.includes(" "); n += 1) {
    answer = await once(place, to.address, to.number, cell.specified === "yes" ? 3000 : forbiddenMs);
  }
  return answer;
}

function tryIp(args: readonly string[]): void {
  try {
    execFileSync("ip", [...args], { stdio: "ignore" });
  } catch {
    // a route that the kernel does not take is one way less to try
  }
}
