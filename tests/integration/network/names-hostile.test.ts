/** The resolver among those who mean it no good: forgers of answers, containers that flood it or stall, servers that say nothing
 *  (security.md section 8: D-03, D-04, D-05, D-12, D-13). */
import { decode, encode, RECURSION_DESIRED, TRUNCATED_RESPONSE, type DecodedPacket } from "dns-packet";
import { readFileSync } from "node:fs";
import { createServer } from "node:net";
import { afterEach, beforeEach, expect, test } from "vitest";
import { inNetns } from "../../../src/host/netns.ts";
import { askTcp, askUdp, blockedMs, endpoint, Lab, openUdp, type Box, type UdpEnd } from "./lab.ts";
import { questionsOverTcp } from "./tcp-questions.ts";

let lab: Lab;
beforeEach(async () => {
  lab = await Lab.create();
});
afterEach(async () => {
  expect(await lab.dispose()).toEqual([]);
});

const resolver = "127.0.0.11";
const query = (name: string, id = 77): Buffer =>
  encode({ id, type: "query", flags: RECURSION_DESIRED, questions: [{ name, type: "A" }] });
const data = (packet: DecodedPacket): readonly unknown[] =>
  (packet.answers ?? []).map((answer) => ("data" in answer ? answer.data : undefined));

async function ask(box: Box, name: string): Promise<DecodedPacket> {
  const end = openUdp(box.netns, "0.0.0.0", 0);
  try {
    end.send(query(name), 53, resolver);
    const got = await end.next(6000);
    if (got === undefined) throw new Error(`no answer about ${name}`);
    return decode(got.data);
  } finally {
    end.close();
  }
}

type Got = { readonly data: Buffer; readonly from: string; readonly port: number };
/** A server on this host that does with each question what `reply` does. */
function serve(address: string, reply: (got: Got, end: UdpEnd) => void): void {
  const end = openUdp(undefined, address, 53);
  let open = true;
  lab.onEnd(() => {
    open = false;
    end.close();
  });
  void (async () => {
    while (open) {
      const got = await end.next(20);
      if (got !== undefined) reply(got, end);
    }
  })();
}
function response(got: Got, address: string, more: { readonly id?: number; readonly name?: string } = {}): Buffer {
  const asked = decode(got.data);
  const name = more.name ?? asked.questions?.[0]?.name ?? "";
  return encode({
    id: more.id ?? asked.id ?? 0,
    type: "response",
    questions: [{ name, type: "A" }],
    answers: [{ type: "A", name, ttl: 60, data: address }],
  });
}
const withServers = (servers: readonly string[]): { readonly dns: Box["request"]["dns"] } => ({
  dns: { servers, search: [], options: [] },
});

test("answers with another number, to another question, or from another address are not believed", async () => {
  const forger = openUdp(undefined, "127.0.0.62", 0);
  lab.onEnd(forger.close);
  const ports = new Set<number>();
  serve("127.0.0.61", (got, end) => {
    ports.add(got.port);
    const id = decode(got.data).id ?? 0;
    for (let n = 1; n < 300; n += 1)
      end.send(response(got, "198.51.100.66", { id: (id + n) & 0xffff }), got.port, got.from);
    end.send(response(got, "198.51.100.66", { name: "other.test" }), got.port, got.from);
    forger.send(response(got, "198.51.100.66"), got.port, got.from);
    setTimeout(() => end.send(response(got, "203.0.113.7"), got.port, got.from), 60);
  });
  const a = await lab.box("a", [await lab.network("n1")], withServers(["127.0.0.61"]));
  for (const name of ["one.test", "two.test", "three.test"]) expect(data(await ask(a, name))).toEqual(["203.0.113.7"]);
  expect(ports.size).toBe(3);
});

test("an answer that does not fit is asked for over TCP by the container, and comes whole", async () => {
  serve("127.0.0.63", (got, end) => {
    const asked = decode(got.data);
    const cut = {
      id: asked.id ?? 0,
      type: "response" as const,
      flags: TRUNCATED_RESPONSE,
      questions: asked.questions ?? [],
    };
    end.send(encode(cut), got.port, got.from);
  });
  const server = createServer((socket) => {
    socket.on("error", () => undefined);
    socket.on("data", (bytes) => {
      const answer = response({ data: bytes.subarray(2), from: "", port: 0 }, "203.0.113.8");
      socket.write(Buffer.concat([Buffer.of(answer.length >> 8, answer.length & 255), answer]));
    });
  });
  await new Promise<void>((resolve) => server.listen(53, "127.0.0.63", resolve));
  lab.onEnd(() => void server.close());
  const a = await lab.box("a", [await lab.network("n1")], withServers(["127.0.0.63"]));
  expect(await ask(a, "long.test")).toMatchObject({ flag_tc: true, answers: [] });
  const overTcp = questionsOverTcp(a);
  expect(data(decode(await overTcp.ask(query("long.test"))))).toEqual(["203.0.113.8"]);
  overTcp.close();
});

test("a server that says nothing is asked first once, and after the others from then on", async () => {
  lab.outside("198.51.100.1", "198.51.100.2");
  serve("127.0.0.64", (got, end) => end.send(response(got, "203.0.113.9"), got.port, got.from));
  const a = await lab.box("a", [await lab.network("n1")], withServers(["198.51.100.77", "127.0.0.64"]));
  const took = async (name: string): Promise<number> => {
    const start = performance.now();
    expect(data(await ask(a, name))).toEqual(["203.0.113.9"]);
    return performance.now() - start;
  };
  expect(await took("first.test")).toBeGreaterThan(200);
  const later = [await took("second.test"), await took("third.test"), await took("fourth.test")];
  expect(Math.min(...later)).toBeLessThan(200);
});

test("the resolver listens inside the container's namespace alone, on its loopback address alone", async () => {
  const net = await lab.network("n1");
  const [a, b] = [await lab.box("a", [net]), await lab.box("b", [net])];
  const read = (): string =>
    `${readFileSync("/proc/thread-self/net/udp", "utf8")}${readFileSync("/proc/thread-self/net/tcp", "utf8")}`;
  expect(read()).not.toContain("0B00007F:");
  const inside = inNetns(a.netns, read);
  const addresses = [...inside.matchAll(/^ *\d+: ([0-9A-F]{8}):([0-9A-F]{4})/gm)];
  expect(addresses.map(([, address]) => address)).toEqual(["0B00007F", "0B00007F"]);
  for (const [, , hex = ""] of addresses) {
    expect(await askTcp(b.netns, a.ip, parseInt(hex, 16), blockedMs)).toBe("ECONNREFUSED");
    expect(await askUdp(b.netns, a.ip, parseInt(hex, 16), blockedMs)).toBe("timeout");
  }
});

test("a container that asks without end leaves the others their answers", async () => {
  const net = await lab.network("n1");
  const [loud, quiet, other] = [
    await lab.box("loud", [net]),
    await lab.box("quiet", [net]),
    await lab.box("other", [net]),
  ];
  const flood = openUdp(loud.netns, "0.0.0.0", 0);
  let running = true;
  const flooding = (async () => {
    while (running) {
      for (let n = 0; n < 400; n += 1) flood.send(query("other", n), 53, resolver);
      await new Promise(setImmediate);
    }
  })();
  const took: number[] = [];
  for (let n = 0; n < 20; n += 1) {
    const start = performance.now();
    expect(data(await ask(quiet, "other"))).toEqual([other.ip]);
    took.push(performance.now() - start);
  }
  running = false;
  await flooding;
  flood.close();
  expect(took.toSorted((a, b) => a - b)[10]).toBeLessThan(1000);
});

test("a client that stalls is cut off, one that sends too long a question at once", async () => {
  const net = await lab.network("n1");
  const a = await lab.box("a", [net]);
  const [stalled, long] = [questionsOverTcp(a), questionsOverTcp(a)];
  stalled.write(Buffer.of(0));
  long.write(Buffer.concat([Buffer.of(0xff, 0xff), Buffer.alloc(100)]));
  await long.closed;
  expect(stalled.isClosed()).toBe(false);
  const start = performance.now();
  await stalled.closed;
  expect(performance.now() - start).toBeGreaterThan(2000);
});

test("an alias takes names of its network alone: not the host's, not localhost; odd ones and letter case do no harm", async () => {
  const [n1, n2] = [await lab.network("n1"), await lab.network("n2")];
  const aliases = ["metadata.google.internal", "localhost", "host.docker.internal", "_dmarc", "xn--bcher-kva", "WEB"];
  const [a, evil] = [await lab.box("a", [n1]), await lab.box("evil", [endpoint(n1, { aliases })])];
  const outsider = await lab.box("outsider", [n2], withServers(["127.0.0.65"]));
  const gateway = a.state.endpoints[0]?.ipv4?.gateway;
  expect(data(await ask(a, "localhost"))).toEqual(["127.0.0.1"]);
  expect(data(await ask(a, "host.docker.internal"))).toEqual([gateway]);
  for (const name of ["metadata.google.internal", "_dmarc", "xn--bcher-kva", "web"]) {
    expect(data(await ask(a, name))).toEqual([evil.ip]);
    expect(data(await ask(outsider, name))).toEqual([]);
  }
});
