import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { ResponseParser } from "../../../src/client/http/response-parser.ts";

interface Parsed {
  status: number | undefined;
  headers: Readonly<Record<string, string>>;
  body: string;
  ended: boolean;
  rest: string;
}
/** Feeds `text` in pieces of `step` bytes; `closes` says that the connection ends after it. */
function parse(text: string, step = 1 << 20, { hasBody = true, closes = false } = {}): Parsed {
  const parsed: Parsed = { status: undefined, headers: {}, body: "", ended: false, rest: "" };
  const parser = new ResponseParser(
    {
      onHead: ({ statusCode, headers }) => Object.assign(parsed, { status: statusCode, headers }),
      onBody: (bytes) => (parsed.body += bytes.toString("latin1")),
      onEnd: () => (parsed.ended = true),
    },
    hasBody,
  );
  const bytes = Buffer.from(text, "latin1");
  for (let start = 0; start < bytes.length; start += step) {
    const piece = bytes.subarray(start, start + step);
    parsed.rest += parser.isOver ? piece.toString("latin1") : parser.feed(piece).toString("latin1");
  }
  if (closes) parser.finish();
  return parsed;
}
const ok = "HTTP/1.1 200 OK\r\n";

describe("the response parser", () => {
  it.each([
    ["counted", `${ok}Content-Length: 5\r\n\r\nhello`, false],
    ["chunked", `${ok}Transfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n3;x=y\r\nllo\r\n0\r\nTrailer: x\r\n\r\n`, false],
    ["ended by the connection", `${ok}Content-Type: x\r\n\r\nhello`, true],
    ["after an interim answer", `HTTP/1.1 100 Continue\r\n\r\n${ok}content-length:5\r\n\r\nhello`, false],
  ])("reads a body that is %s, however the bytes are cut", (_how, text, closes) => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: text.length }), (step) => {
        expect(parse(text, step, { closes })).toMatchObject({ status: 200, body: "hello", ended: true, rest: "" });
      }),
    );
  });

  it("knows what has no body", () => {
    expect(parse("HTTP/1.1 204 No Content\r\n\r\n")).toMatchObject({ status: 204, ended: true });
    expect(parse("HTTP/1.1 304 Not Modified\r\n\r\n")).toMatchObject({ status: 304, ended: true });
    expect(parse(`${ok}Content-Length: 5\r\n\r\n`, 9, { hasBody: false })).toMatchObject({ ended: true, body: "" });
    expect(parse(`${ok}Content-Length: 0\r\n\r\n`)).toMatchObject({ ended: true, body: "" });
  });

  it("leaves what comes after an upgrade", () => {
    expect(parse("HTTP/1.1 101 UPGRADED\r\nUpgrade: tcp\r\n\r\nraw bytes")).toMatchObject({
      status: 101,
      headers: { upgrade: "tcp" },
      rest: "raw bytes",
    });
  });

  it("joins repeated headers and forgets none", () => {
    expect(parse(`${ok}X: a\r\nx:b\r\nEmpty:\r\n\r\n`).headers).toEqual({ x: "a, b", empty: "" });
  });

  it.each([
    ["another protocol", "SSH-2.0-OpenSSH_9.2\r\n\r\n"],
    ["a folded header", `${ok}A: b\r\n c\r\n\r\n`],
    ["a length that is none", `${ok}Content-Length: -5\r\n\r\n`],
    ["two lengths", `${ok}Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello`],
    ["a chunk without a size", `${ok}Transfer-Encoding: chunked\r\n\r\nxyz\r\n`],
    ["a chunk that is longer than it says", `${ok}Transfer-Encoding: chunked\r\n\r\n2\r\nhello\r\n0\r\n\r\n`],
    ["an endless line", `${ok}Transfer-Encoding: chunked\r\n\r\n${"0".repeat(5000)}`],
    ["endless headers", `${ok}${"A: b\r\n".repeat(300_000)}`],
  ])("refuses %s", (_what, text) => {
    expect(() => parse(text)).toThrow(/not valid HTTP|ended early/);
  });

  it("notices an answer that was cut short", () => {
    expect(() => parse(`${ok}Content-Length: 5\r\n\r\nhel`, 9, { closes: true })).toThrow(/ended early/);
  });

  it("never fails in another way, whatever comes", () => {
    const pieces = fc.array(
      fc.constantFrom(
        ok,
        "\r\n",
        "Content-Length: 3\r\n",
        "Transfer-Encoding: chunked\r\n",
        "3\r\n",
        "0\r\n",
        "abc",
        "\0",
        ":",
      ),
    );
    fc.assert(
      fc.property(pieces, fc.integer({ min: 1, max: 20 }), (text, step) => {
        try {
          parse(text.join(""), step, { closes: true });
        } catch (error) {
          expect((error as Error).message).toMatch(/not valid HTTP|ended early/);
        }
      }),
    );
  });
});
