/** Questions without end. TSCOMPOSE_DNS_RATE: questions a second (default 2,000; 20,000 is what is asked for on a quiet machine). */
import { expect, test } from "vitest";
import { startLoadedNames } from "../../support/dns-load.ts";

const rate = Number(process.env["TSCOMPOSE_DNS_RATE"] ?? "2000");
const names = ["member-1", "even", "svc", "nope", "member-3", "odd"];

test("names are answered at a steady pace while all servers outside are dead and asked in vain", async () => {
  const loaded = await startLoadedNames(20);
  const [outside, inside] = await Promise.all([loaded.load(200, 2, ["a.test", "b.test"]), loaded.load(rate, 2, names)]);
  const cpuMs = await loaded.close();
  process.stdout.write(`${JSON.stringify({ rate, ...inside, cpuMs })}\n`);
  expect(outside.answered).toBe(0);
  expect(inside.wrong).toBe(0);
  expect(inside.answered).toBeGreaterThan(inside.sent * 0.9);
});
