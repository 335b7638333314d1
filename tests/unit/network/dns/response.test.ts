import { encode } from "dns-packet";
import { expect, test } from "vitest";
import { parseQuery, type Question } from "../../../../src/network/dns/question.ts";
import { checkResponse } from "../../../../src/network/dns/response.ts";

function question(name: string): Question {
  const parsed = parseQuery(encode({ id: 7, type: "query", questions: [{ name, type: "A" }] }));
  if (parsed.kind !== "question") throw new Error("not a question");
  return parsed.question;
}
const questions = [{ name: "out.example", type: "A" as const }];
const soa = (ttl: number, minimum: number): object => ({
  type: "SOA",
  name: "example",
  ttl,
  data: { mname: "ns.example", rname: "root.example", serial: 1, refresh: 1, retry: 1, expire: 1, minimum },
});

test("that there is no such name is kept as long as its zone says, and not at all when it says nothing", () => {
  const answer = (authorities: readonly object[]): Buffer =>
    encode({ id: 7, type: "response", flags: 3, questions, authorities: authorities as never });
  const ttl = (message: Buffer): number | undefined => checkResponse(message, 7, question("out.example"))?.minimumTtl;
  expect(ttl(answer([soa(3600, 60)]))).toBe(60);
  expect(ttl(answer([soa(30, 600)]))).toBe(30);
  expect(ttl(answer([]))).toBe(0);
});

test("the answer to another question, with another number, or with more records than there are, is none", () => {
  const good = encode({ id: 7, type: "response", questions, answers: [] });
  const asked = question("out.example");
  expect(checkResponse(good, 7, question("OUT.example"))).toBeDefined();
  expect(checkResponse(good, 8, asked)).toBeUndefined();
  expect(checkResponse(good, 7, question("in.example"))).toBeUndefined();
  const more = Buffer.from(good);
  more.writeUInt16BE(1, 6);
  expect(checkResponse(more, 7, asked)).toBeUndefined();
  const query = Buffer.from(good);
  query.writeUInt8(0, 2);
  expect(checkResponse(query, 7, asked)).toBeUndefined();
});
