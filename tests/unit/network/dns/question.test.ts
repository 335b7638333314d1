import { encode, RECURSION_DESIRED } from "dns-packet";
import fc from "fast-check";
import { expect, test } from "vitest";
import { FORMERR, NOTIMP, parseQuery } from "../../../../src/network/dns/question.ts";

const query = (name: string, additionals: readonly object[] = []): Buffer =>
  encode({
    id: 4711,
    type: "query",
    flags: RECURSION_DESIRED,
    questions: [{ name, type: "A" }],
    additionals: additionals as never,
  });

test("a question is read, with the size of answers its asker takes", () => {
  const parsed = parseQuery(query("Web.Example"));
  expect(parsed).toMatchObject({
    kind: "question",
    question: { id: 4711, name: "Web.Example", type: 1, class: 1, recursionDesired: true, udpSize: 512, edns: false },
  });
  const edns = parseQuery(
    query("web", [
      {
        type: "OPT",
        name: ".",
        udpPayloadSize: 1400,
        extendedRcode: 0,
        ednsVersion: 0,
        flags: 0,
        flag_do: false,
        options: [],
      },
    ]),
  );
  expect(edns).toMatchObject({ question: { udpSize: 1400, edns: true } });
});

const changed = (change: (message: Buffer) => void): Buffer => {
  const message = query("web");
  change(message);
  return message;
};

test("answers and fragments of packets get no answer at all", () => {
  expect(parseQuery(changed((message) => void (message[2] = 0x80)))).toEqual({ kind: "drop" });
  expect(parseQuery(query("web").subarray(0, 11))).toEqual({ kind: "drop" });
});

test("what is malformed is refused: question counts, compression, long labels, cut-off names, trailing records", () => {
  const refusal = { kind: "refuse", rcode: FORMERR };
  for (const count of [0, 2, 65_535])
    expect(parseQuery(changed((message) => void message.writeUInt16BE(count, 4)))).toMatchObject(refusal);
  expect(parseQuery(changed((message) => void message.writeUInt16BE(0xc00c, 12)))).toMatchObject(refusal);
  expect(parseQuery(changed((message) => void (message[12] = 64)))).toMatchObject(refusal);
  expect(parseQuery(changed((message) => void (message[12] = 60)))).toMatchObject(refusal);
  expect(parseQuery(changed((message) => void message.writeUInt16BE(1, 10)))).toMatchObject(refusal);
  expect(parseQuery(query("web").subarray(0, 16))).toMatchObject(refusal);
  const label = Buffer.concat([Buffer.of(63), Buffer.alloc(63, 97)]);
  const long = Buffer.concat([query("web").subarray(0, 12), label, label, label, label, Buffer.of(0, 0, 1, 0, 1)]);
  expect(parseQuery(long)).toMatchObject(refusal);
});

test("other operations than queries are not implemented", () => {
  expect(parseQuery(changed((message) => void (message[2] = 0x28)))).toMatchObject({
    kind: "refuse",
    rcode: NOTIMP,
    opcode: 5,
  });
});

test("a label with odd bytes cannot be taken for another name", () => {
  const message = Buffer.concat([query("a").subarray(0, 12), Buffer.of(3, 0x61, 0x2e, 0x62, 0, 0, 1, 0, 1)]);
  expect(parseQuery(message)).toMatchObject({ question: { name: "a\\.b" } });
});

test("no packet whatsoever makes it throw", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 600 }), fc.nat(), (noise, seed) => {
      parseQuery(Buffer.from(noise));
      const message = Buffer.from(query("some.longer.name.example"));
      for (const [index, byte] of noise.subarray(0, 4).entries())
        message[(seed * (index + 3) + byte) % message.length] = byte;
      parseQuery(message);
      parseQuery(message.subarray(0, seed % (message.length + 1)));
    }),
    { numRuns: 20_000 },
  );
});
