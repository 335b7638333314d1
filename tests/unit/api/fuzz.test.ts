import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { routes } from "../../../src/api/routes.ts";
import type { Route } from "../../../src/api/routes.ts";
import { startApi } from "../../support/api-fixture.ts";
import type { ApiFixture } from "../../support/api-fixture.ts";

let api: ApiFixture;
beforeAll(async () => {
  api = await startApi();
});
afterAll(async () => {
  await api.close();
});

/** Streams that rightly do not end by themselves. */
const endless = new Set<Route>([routes.events, routes.containerStats, routes.containerLogs, routes.containerAttach]);
const finite: readonly Route[] = Object.values(routes).filter((route: Route) => !endless.has(route));

const text = fc.oneof(
  fc.constantFrom(
    "",
    "0",
    "1",
    "true",
    "-1",
    "1e999",
    "9007199254740993",
    "..",
    "../../etc",
    "%00",
    "sha256:x",
    "{}",
    "null",
  ),
  fc.string({ maxLength: 30 }),
);
const segment = text.map((value) => encodeURIComponent(value) || "x");
const json = fc.oneof(
  fc.json({ maxDepth: 4 }),
  fc.constantFrom(
    `{"Image":"busybox","HostConfig":{"Memory":-1,"PortBindings":{"x":[{"HostPort":"y"}]}}}`,
    `{"Image":"busybox","Cmd":[null]}`,
    `{"HostConfig":null,"NetworkingConfig":{"EndpointsConfig":{"a":null}}}`,
    `{"Labels":{"constructor":"x","toString":"y"}}`,
    `{"Name":"n","IPAM":{"Config":[{}]}}`,
    "[[[[[[[[",
    "",
    "\0",
  ),
);

describe("whatever a client sends", () => {
  it("gets an answer that is no fault of the server, with a message when it is a refusal", async () => {
    const request = fc.record({ route: fc.constantFrom(...finite), ids: segment, values: fc.array(text), body: json });
    await fc.assert(
      fc.asyncProperty(request, async ({ route, ids, values, body }) => {
        const query = new URLSearchParams(
          values.map((value, index): [string, string] => [route.query[index % 5] ?? "unknown", value]),
        );
        const path = route.path.replace(/\{\w+\*?\}/g, ids);
        const type = route.body === "bytes" ? "application/x-tar" : "application/json";
        const answer = await api.ask(
          `${route.method} ${path}?${query.toString()} HTTP/1.1\r\nContent-Type: ${type}`,
          body,
        );
        const status = Number(answer.split(" ")[1]);
        expect(status, answer.slice(0, 300)).not.toBe(500);
        if (status >= 400 && route.method !== "HEAD")
          expect(answer).toMatch(/\r\n\r\n(\{"message":"[^]+"[^]*\}|[^]+)\n$/);
      }),
      { numRuns: 400 },
    );
  });

  it("leaves the server able to answer, even when it is not HTTP", async () => {
    await fc.assert(
      fc.asyncProperty(fc.string({ minLength: 1 }), fc.boolean(), async (bytes, upgrade) => {
        const head = upgrade ? "POST /exec/x/start HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n" : "";
        const connection = api.dial(head + bytes);
        connection.socket.end();
        await connection.ended.catch(() => undefined);
        expect(await api.docker.ping()).toBe("OK");
      }),
      { numRuns: 60 },
    );
  });
});
