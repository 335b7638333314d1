/** Good questions with bytes changed, cut, doubled and joined (security.md D-01). TSCOMPOSE_DNS_PACKETS: how many (default 5,000),
 *  TSCOMPOSE_SEED: which. */
import { decode, encode, RECURSION_DESIRED, type RecordType } from "dns-packet";
import { expect, test } from "vitest";
import { parseSubnet } from "../../../../src/network/cidr.ts";
import { createAnswerer } from "../../../../src/network/dns/answerer.ts";
import { checkResponse } from "../../../../src/network/dns/response.ts";
import { parseQuery } from "../../../../src/network/dns/question.ts";
import { Upstream } from "../../../../src/network/dns/upstream.ts";
import { Zone } from "../../../../src/network/dns/zone.ts";

const packets = Number(process.env["TSCOMPOSE_DNS_PACKETS"] ?? "5000");
const seed = Number(process.env["TSCOMPOSE_SEED"] ?? "1");

/** mulberry32. @returns numbers below `limit` */
function randomNumbers(start: number): (limit: number) => number {
  let state = start >>> 0;
  return (limit) => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return Math.floor((((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32) * limit);
  };
}

const members = 40;
function createZone(): Zone {
  const zone = new Zone();
  for (let n = 0; n < members; n += 1) {
    zone.set({
      containerId: `${n}`,
      names: [`web-${n}`, "svc"],
      ipv4: `172.18.0.${n + 2}`,
      ipv6: undefined,
      healthy: true,
    });
  }
  return zone;
}
const subnets = [parseSubnet("172.18.0.0/24")].flatMap((one) => one ?? []);
const answerer = createAnswerer({
  view: () => ({
    networks: [{ name: "app_default", zone, subnets }],
    hostGateway: { ipv4: "172.18.0.1", ipv6: undefined },
    forwards: true,
    search: ["corp.example"],
  }),
  servers: () => [],
  upstream: new Upstream(),
});
const zone = createZone();

const names = ["svc", "web-3", "WEB-4.app_default", "_80._tcp.svc", "5.0.18.172.in-addr.arpa", "out.example", "."];
const types: readonly RecordType[] = ["A", "AAAA", "PTR", "SRV", "TXT", "ANY" as RecordType];
function question(random: (limit: number) => number): Buffer {
  const size = [0, 512, 1232, 65_535][random(4)] ?? 0;
  const opt = { type: "OPT", name: ".", udpPayloadSize: size, flags: 0, options: [], extendedRcode: 0, ednsVersion: 0 };
  return encode({
    id: random(65_536),
    type: "query",
    flags: RECURSION_DESIRED,
    questions: [{ name: names[random(names.length)] ?? "", type: types[random(types.length)] ?? "A" }],
    additionals: (random(2) === 0 ? [] : [{ ...opt, flag_do: false }]) as never,
  });
}

function mutate(message: Buffer, random: (limit: number) => number): Buffer {
  let bytes = Buffer.from(message);
  for (let n = random(4); n >= 0; n -= 1) {
    const at = random(bytes.length);
    switch (random(6)) {
      case 0:
        bytes[at] = random(256);
        break;
      case 1:
        bytes = Buffer.from(bytes.subarray(0, at + 1));
        break;
      case 2:
        bytes = Buffer.concat([bytes.subarray(0, at), bytes.subarray(random(at + 1))]);
        break;
      case 3: // a pointer: to itself, forward, or to the header
        if (at + 1 < bytes.length) bytes.writeUInt16BE(0xc000 | random(64), at);
        break;
      case 4: // a count of records
        if (bytes.length >= 12) bytes.writeUInt16BE([0, 1, 2, 65_535][random(4)] ?? 0, 4 + 2 * random(4));
        break;
      default:
        bytes = Buffer.concat([bytes, Buffer.alloc(random(80), random(256))]);
    }
  }
  return bytes;
}

/** What the asker said that it takes, and no less than the format's 512 bytes. */
const limitFor = (message: Buffer): number => {
  const parsed = parseQuery(message);
  return parsed.kind === "question" ? Math.max(512, Math.min(4096, parsed.question.udpSize)) : message.length;
};

test("no packet whatever stops the resolver, gets an answer longer than allowed, or more than one", async () => {
  const random = randomNumbers(seed);
  let answered = 0;
  for (let n = 0; n < packets; n += 1) {
    const message = mutate(question(random), random);
    const kept = message.toString("hex");
    const answer = await answerer(message, "udp");
    const where = `packet ${n} of seed ${seed}: ${kept}`;
    expect(message.toString("hex"), where).toBe(kept);
    if (answer === undefined) continue;
    answered += 1;
    expect(answer.length, where).toBeLessThanOrEqual(limitFor(message));
    expect(answer.readUInt16BE(0), where).toBe(message.readUInt16BE(0));
    expect((answer[2] ?? 0) & 0x80, `${where}: not marked as an answer`).toBe(0x80);
    if (answer.length > 12) expect(() => decode(answer), where).not.toThrow();
  }
  expect(answered).toBeGreaterThan(packets / 4);
});

test("an answer of the resolver sent to it as a question gets no answer: two of them cannot talk for ever", async () => {
  const random = randomNumbers(seed);
  for (let n = 0; n < 200; n += 1) {
    const answer = await answerer(question(random), "udp");
    expect(answer === undefined ? undefined : answerer(answer, "udp")).toBeUndefined();
  }
});

test("answers of servers with bytes changed are taken as they are, or not at all, and never stop the resolver", () => {
  const random = randomNumbers(seed);
  const asked = parseQuery(encode({ id: 7, type: "query", questions: [{ name: "out.example", type: "A" }] }));
  if (asked.kind !== "question") throw new Error("the question is good");
  const good = encode({
    id: 7,
    type: "response",
    questions: [{ name: "out.example", type: "A" }],
    answers: [{ type: "A", name: "out.example", ttl: 60, data: "203.0.113.7" }],
    authorities: [{ type: "NS", name: "example", ttl: 30, data: "ns.example" }],
  });
  expect(checkResponse(good, 7, asked.question)).toMatchObject({ rcode: 0, minimumTtl: 30 });
  for (let n = 0; n < packets; n += 1) {
    const bad = mutate(good, random);
    const checked = checkResponse(bad, 7, asked.question);
    for (const offset of checked?.ttlOffsets ?? []) expect(offset + 4).toBeLessThanOrEqual(bad.length);
  }
});
