import { decode, encode, RECURSION_DESIRED, type DecodedPacket, type RecordType } from "dns-packet";
import { afterEach, beforeEach, expect, test } from "vitest";
import { endpoint, Lab, openUdp, serveTcp, type Box } from "./lab.ts";
import { questionsOverTcp } from "./tcp-questions.ts";

let lab: Lab;
beforeEach(async () => {
  lab = await Lab.create();
});
afterEach(async () => {
  expect(await lab.dispose()).toEqual([]);
});

const resolver = "127.0.0.11";

async function ask(box: Box, name: string, type: RecordType = "A"): Promise<DecodedPacket> {
  const end = openUdp(box.netns, "0.0.0.0", 0);
  try {
    const query = encode({ id: 77, type: "query", flags: RECURSION_DESIRED, questions: [{ name, type }] });
    end.send(query, 53, resolver);
    const got = await end.next(6000);
    if (got === undefined) throw new Error(`no answer about ${name}`);
    expect(got.from).toBe(resolver);
    return decode(got.data);
  } finally {
    end.close();
  }
}
const rcode = (packet: DecodedPacket): string => (packet as unknown as { readonly rcode: string }).rcode;
const data = (packet: DecodedPacket): readonly unknown[] =>
  (packet.answers ?? []).map((answer) => ("data" in answer ? answer.data : undefined));

test("names, aliases, host names and short ids resolve in any case, and so do names with the network behind them", async () => {
  const net = await lab.network("proj_default");
  const a = await lab.box("proj-web-1", [net]);
  const b = await lab.box("proj-db-1", [endpoint(net, { aliases: ["db"] })]);
  for (const name of ["proj-db-1", "db", "DB", "proj-db-1-host", b.id.slice(0, 12), "db.proj_default"]) {
    expect(data(await ask(a, name))).toEqual([b.ip]);
  }
});

test("a shared name rotates over its members, and leaves out the unhealthy while there are healthy ones", async () => {
  const net = await lab.network("n1");
  const a = await lab.box("a", [net]);
  const [b, c] = [
    await lab.box("b", [endpoint(net, { aliases: ["svc"] })]),
    await lab.box("c", [endpoint(net, { aliases: ["svc"] })]),
  ];
  const firsts = new Set([data(await ask(a, "svc"))[0], data(await ask(a, "svc"))[0]]);
  expect(firsts).toEqual(new Set([b.ip, c.ip]));
  lab.networking.setHealthy(b.id, false);
  expect(data(await ask(a, "svc"))).toEqual([c.ip]);
  lab.networking.setHealthy(c.id, false);
  expect(
    data(await ask(a, "svc"))
      .map(String)
      .toSorted(),
  ).toEqual([b.ip, c.ip].toSorted());
  lab.networking.rename(c.id, "renamed");
  expect(data(await ask(a, "renamed"))).toEqual([c.ip]);
  await lab.remove(b);
  expect(data(await ask(a, "svc"))).toEqual([c.ip]);
});

test("a name of an IPv4 network has an empty AAAA answer at once, and reverse lookups give name and network", async () => {
  const net = await lab.network("n1");
  const [a, b] = [await lab.box("a", [net]), await lab.box("b", [net])];
  const empty = await ask(a, "b", "AAAA");
  expect([rcode(empty), data(empty)]).toEqual(["NOERROR", []]);
  const reverse = `${b.ip.split(".").toReversed().join(".")}.in-addr.arpa`;
  expect(data(await ask(a, reverse, "PTR"))).toEqual(["b.n1"]);
});

test("names of networks the asker is not in do not exist for it", async () => {
  const [n1, n2] = [await lab.network("n1"), await lab.network("n2")];
  const [a, b] = [await lab.box("a", [n1]), await lab.box("secret", [n2])];
  expect(rcode(await ask(a, "secret"))).toBe("NXDOMAIN");
  const reverse = `${b.ip.split(".").toReversed().join(".")}.in-addr.arpa`;
  expect(data(await ask(a, reverse, "PTR"))).toEqual([]);
});

test("the host has names: host.docker.internal and gateway.docker.internal", async () => {
  const net = await lab.network("n1");
  const a = await lab.box("a", [net], { extraHosts: ["mine:host-gateway", "other:192.0.2.9"] });
  const gateway = a.state.endpoints[0]?.ipv4?.gateway;
  for (const name of ["host.docker.internal", "gateway.docker.internal"]) {
    expect(data(await ask(a, name))).toEqual([gateway]);
  }
  expect(a.state.hostsFile).toContain(`${gateway}\tmine\n`);
  expect(a.state.hostsFile).toContain("192.0.2.9\tother\n");
  expect(a.state.hostsFile).toContain(`${a.ip}\ta-host\n`);
});

/** A name server on this host that knows `example.test` and notes what it is asked. */
function startUpstream(address: string): string[] {
  const asked: string[] = [];
  const end = openUdp(undefined, address, 53);
  let open = true;
  lab.onEnd(() => {
    open = false;
    end.close();
  });
  const serve = async (): Promise<void> => {
    while (open) {
      const got = await end.next(20);
      if (got === undefined) continue;
      const query = decode(got.data);
      const name = query.questions?.[0]?.name ?? "";
      asked.push(name);
      const known = name.toLowerCase() === "example.test";
      const answers = known ? [{ type: "A" as const, name, ttl: 60, data: "203.0.113.7" }] : [];
      const flags = known ? 0 : 3;
      end.send(
        encode({ id: query.id ?? 0, type: "response", flags, questions: query.questions ?? [], answers }),
        got.port,
        got.from,
      );
    }
  };
  void serve();
  return asked;
}

test("other names are asked of the servers that were given, once, and the answer is remembered", async () => {
  const asked = startUpstream("127.0.0.53");
  const net = await lab.network("n1");
  const a = await lab.box("a", [net], { dns: { servers: ["127.0.0.53"], search: [], options: [] } });
  const [first, again] = [await ask(a, "example.test"), await ask(a, "EXAMPLE.test")];
  expect([data(first), data(again)]).toEqual([["203.0.113.7"], ["203.0.113.7"]]);
  expect(again.questions?.[0]?.name).toBe("EXAMPLE.test");
  expect(rcode(await ask(a, "nowhere.test"))).toBe("NXDOMAIN");
  expect(asked).toEqual(["example.test", "nowhere.test"]);
});

test("a dead first server delays the answer of the second only a little, and names of containers not at all", async () => {
  startUpstream("127.0.0.54");
  const net = await lab.network("n1");
  const servers = ["198.51.100.77", "127.0.0.54"];
  lab.outside("198.51.100.1", "198.51.100.2");
  const [a, b] = [await lab.box("a", [net], { dns: { servers, search: [], options: [] } }), await lab.box("b", [net])];
  const [outer, inner] = await Promise.all([ask(a, "example.test"), ask(a, "b")]);
  expect([data(outer), data(inner)]).toEqual([["203.0.113.7"], [b.ip]]);
});

test("a container's name never leaves: not bare, not with a search domain, not after the container has gone", async () => {
  const asked = startUpstream("127.0.0.55");
  const net = await lab.network("n1");
  const dns = { servers: ["127.0.0.55"], search: ["corp.example"], options: [] };
  const [a, b] = [await lab.box("a", [net], { dns }), await lab.box("b", [net])];
  expect(a.state.resolvConf).toContain("search corp.example\n");
  await lab.remove(b);
  for (const name of ["b", "b.corp.example", "unknown", "host.docker.internal.corp.example"]) await ask(a, name);
  expect(asked).toEqual(["host.docker.internal.corp.example"]);
});

test("an internal network asks nobody outside", async () => {
  const asked = startUpstream("127.0.0.56");
  const net = await lab.network("n1", { Internal: true });
  const a = await lab.box("a", [net], { dns: { servers: ["127.0.0.56"], search: [], options: [] } });
  expect(rcode(await ask(a, "example.test"))).toBe("NXDOMAIN");
  expect(asked).toEqual([]);
});

test("without any server that answers, the failure is said", async () => {
  const net = await lab.network("n1");
  const a = await lab.box("a", [net], { dns: { servers: ["127.0.0.57"], search: [], options: [] } });
  expect(rcode(await ask(a, "example.test"))).toBe("SERVFAIL");
});

test("a container may itself serve port 53 of every address", async () => {
  const net = await lab.network("n1");
  const [a, b] = [await lab.box("a", [net]), await lab.box("b", [net])];
  const own = openUdp(a.netns, "0.0.0.0", 53, "own");
  lab.onEnd(own.close);
  lab.onEnd(serveTcp(a.netns, "0.0.0.0", 53, "own").close);
  expect(data(await ask(a, "b"))).toEqual([b.ip]);
});

test("questions over TCP are answered, one after another, also while another client stalls", async () => {
  const net = await lab.network("n1");
  const [a, b] = [await lab.box("a", [net]), await lab.box("b", [net])];
  const [stalled, client] = [questionsOverTcp(a), questionsOverTcp(a)];
  stalled.write(Buffer.of(0));
  for (const id of [1, 2]) {
    const query = encode({ id, type: "query", flags: RECURSION_DESIRED, questions: [{ name: "b", type: "A" }] });
    expect(data(decode(await client.ask(query)))).toEqual([b.ip]);
  }
  client.close();
  stalled.close();
});

test("packets that are no questions do no harm", async () => {
  const net = await lab.network("n1");
  const [a, b] = [await lab.box("a", [net]), await lab.box("b", [net])];
  const end = openUdp(a.netns, "0.0.0.0", 0);
  const good = encode({ id: 1, type: "query", flags: RECURSION_DESIRED, questions: [{ name: "b", type: "A" }] });
  for (let n = 0; n < 500; n += 1) {
    const bad = Buffer.from(good.subarray(0, (n * 7) % (good.length + 1)));
    for (let k = 0; k < 3 && bad.length > 0; k += 1) bad[(n * 13 + k * 5) % bad.length] = (n * 31 + k * 101) & 255;
    end.send(bad, 53, resolver);
  }
  end.close();
  expect(data(await ask(a, "b"))).toEqual([b.ip]);
});
