import { statSync } from "node:fs";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { createServer } from "../../../src/api/server.ts";
import type { ContainerCreateBody } from "../../../src/api/wire.ts";
import { isTscomposeError } from "../../../src/errors.ts";
import { startApi } from "../../support/api-fixture.ts";
import type { ApiFixture } from "../../support/api-fixture.ts";

let api: ApiFixture;
beforeEach(async () => {
  api = await startApi();
});
afterEach(async () => {
  await api.close();
});

const statusOf = (answer: string): number => Number(answer.split(" ")[1]);
const bodyOf = (answer: string): unknown => JSON.parse(answer.slice(answer.indexOf("\r\n\r\n") + 4)) as unknown;
const headerOf = (answer: string, name: string): string | undefined =>
  new RegExp(`^${name}: (.*)\r$`, "im").exec(answer.slice(0, answer.indexOf("\r\n\r\n") + 2))?.[1];
const messageOf = (answer: string): string => (bodyOf(answer) as { message: string }).message;

function create(body: string, type = "application/json"): Promise<string> {
  return api.ask(`POST /containers/create?name=c HTTP/1.1\r\nContent-Type: ${type}`, body);
}
async function running(config: Partial<ContainerCreateBody> = {}): Promise<string> {
  const container = await api.docker.createContainer({ Image: "busybox", Cmd: ["sleep"], ...config });
  await container.start();
  return container.id;
}

describe("every answer", () => {
  it("says which API is spoken", async () => {
    const answer = await api.ask("HEAD /_ping HTTP/1.1");
    expect(statusOf(answer)).toBe(200);
    const names = ["Api-Version", "Ostype", "Docker-Experimental", "Builder-Version", "Swarm", "Content-Length"];
    expect(names.map((name) => headerOf(answer, name))).toEqual(["1.51", "linux", "false", "2", "inactive", "0"]);
    expect(headerOf(answer, "Content-Type")).toBe("text/plain; charset=utf-8");
    expect(headerOf(answer, "Server")).toMatch(/^Docker\/\S+ \(linux\)$/);
    expect(await api.ask("GET /_ping HTTP/1.1")).toMatch(/\r\n\r\nOK$/);
  });

  it("has the exact content type that the docker CLI compares with, also for errors", async () => {
    const answer = await api.ask("GET /containers/nope/json HTTP/1.1");
    expect([statusOf(answer), headerOf(answer, "Content-Type")]).toEqual([404, "application/json"]);
    expect(messageOf(answer)).toBe("No such container: nope");
    expect(answer.endsWith("\n")).toBe(true);
  });

  it("is 404 page not found for an unknown page and for a wrong method", async () => {
    for (const target of ["GET /nothing", "PUT /containers/json", "GET /v1.51/nothing", "OPTIONS /x"]) {
      const answer = await api.ask(`${target} HTTP/1.1`);
      expect([statusOf(answer), messageOf(answer)]).toEqual([404, "page not found"]);
    }
  });

  it("asks for an upgrade where a connection is to become BuildKit's", async () => {
    for (const target of ["POST /grpc", "POST /session"]) {
      const answer = await api.ask(`${target} HTTP/1.1`);
      expect([statusOf(answer), messageOf(answer)]).toEqual([400, "no upgrade proto in request"]);
    }
  });

  it("serves versions from 1.24 to its own, and names the limits to others", async () => {
    expect(statusOf(await api.ask("GET /v1.24/containers/json HTTP/1.1"))).toBe(200);
    expect(statusOf(await api.ask("GET /v1.51/_ping HTTP/1.1"))).toBe(200);
    const tooNew = await api.ask("GET /v1.99/_ping HTTP/1.1");
    expect([statusOf(tooNew), messageOf(tooNew)]).toEqual([
      400,
      "client version 1.99 is too new. Maximum supported API version is 1.51",
    ]);
    expect(messageOf(await api.ask("GET /v1.10/info HTTP/1.1"))).toMatch(
      /^client version 1\.10 is too old\. Minimum supported API version is 1\.24/,
    );
  });

  it("tells swarm clients that there is no swarm, and plugin clients that there are no plugins", async () => {
    const nodes = await api.ask("GET /v1.45/nodes HTTP/1.1");
    expect([statusOf(nodes), messageOf(nodes)]).toMatchObject([
      503,
      expect.stringMatching(/^This node is not a swarm manager/),
    ]);
    expect(statusOf(await api.ask("POST /swarm/init HTTP/1.1"))).toBe(501);
    expect(statusOf(await api.ask("GET /plugins/x/json HTTP/1.1"))).toBe(404);
    expect(bodyOf(await api.ask("GET /plugins HTTP/1.1"))).toEqual([]);
  });

  it("refuses what a web page sends", async () => {
    for (const header of ["Origin: http://evil.example", "Sec-Fetch-Site: cross-site"]) {
      expect(statusOf(await api.ask(`GET /containers/json HTTP/1.1\r\n${header}`))).toBe(403);
    }
  });

  it("is 400 for requests that two parsers could read differently", async () => {
    const smuggled = [
      "POST /containers/create HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
      "POST /containers/create HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
      "GET /info HTTP/1.1\r\nHost: x\r\n Folded: y\r\n\r\n",
    ];
    for (const text of smuggled) expect(statusOf(await api.dial(text).ended)).toBe(400);
  });

  it("takes headers of up to 1 MiB", async () => {
    const labels = "x".repeat(900_000);
    expect(statusOf(await api.ask(`GET /containers/json?unknown=${labels} HTTP/1.1`))).toBe(200);
    expect(statusOf(await api.ask(`GET /containers/json?unknown=${labels}${labels} HTTP/1.1`))).toBe(431);
  });

  it("reaches a client that has closed its side", async () => {
    const connection = api.dial("GET /info HTTP/1.1\r\nHost: x\r\n\r\n");
    connection.socket.end();
    expect(statusOf(await connection.ended)).toBe(200);
  });

  it("comes one after the other on a connection that is kept", async () => {
    const request = "GET /_ping HTTP/1.1\r\nHost: x\r\n\r\n";
    const connection = api.dial(request + request);
    await connection.until((text) => text.split("\r\n\r\nOK").length === 3);
    connection.socket.write(request);
    await connection.until((text) => text.split("\r\n\r\nOK").length === 4);
    connection.socket.destroy();
  });
});

describe("a JSON body", () => {
  it("has its keys in any case, drops unknown ones, and may hold null", async () => {
    const body = `{"image":"busybox","LABELS":{"A":"b"},"nonsense":1,"env":null,"hostconfig":{"memory":7000000,"portbindings":{"80/tcp":null}}}`;
    expect(statusOf(await create(body))).toBe(201);
    expect(api.engine.lastBody).toEqual({
      Image: "busybox",
      Labels: { A: "b" },
      HostConfig: { Memory: 7000000, PortBindings: { "80/tcp": null } },
    });
  });

  it("may give a command as one string", async () => {
    await create(`{"Image":"busybox","Cmd":"ls","Entrypoint":["sh","-c"]}`);
    expect(api.engine.lastBody).toMatchObject({ Cmd: ["ls"], Entrypoint: ["sh", "-c"] });
  });

  it.each([
    [`{"Image":"busybox"} {}`, "unexpected content after JSON"],
    [`{"Image":`, /^invalid JSON: /],
    [`{"Image":5}`, "invalid JSON: Image must be a string, not 5"],
    [`{"Env":["a",1]}`, "invalid JSON: Env[1] must be a string, not 1"],
    [`{"HostConfig":{"Memory":9007199254740993}}`, /^invalid JSON: HostConfig\.Memory must be an integer below 2\^53/],
    [`{"HostConfig":{"NanoCpus":1e309}}`, /^invalid JSON: HostConfig\.NanoCpus must be an integer below 2\^53/],
    [`{"HostConfig":{"Memory":1.5}}`, /^invalid JSON: HostConfig\.Memory must be an integer/],
    [`{"Labels":{"__proto__":"x"}}`, /^invalid JSON: Labels must be an object without the key "__proto__"/],
    [`[]`, "invalid JSON: the body must be an object, not a list"],
  ])("is refused when it is %s", async (body, message) => {
    const answer = await create(body);
    expect(statusOf(answer)).toBe(400);
    expect(messageOf(answer)).toMatch(message);
  });

  it("must say that it is JSON", async () => {
    const answer = await create("{}", "text/plain");
    expect([statusOf(answer), messageOf(answer)]).toEqual([
      400,
      "unsupported Content-Type header (text/plain): must be 'application/json'",
    ]);
    expect(statusOf(await create(`{"Image":"busybox"}`, "application/json; charset=utf-8"))).toBe(201);
  });

  it("may be missing where everything has a default", async () => {
    expect(statusOf(await api.ask("POST /volumes/create HTTP/1.1"))).toBe(201);
    expect(statusOf(await api.ask("POST /containers/create HTTP/1.1"))).toBe(400);
  });

  it("ends at 4 MiB, while streams do not", async () => {
    const answer = await create(`{"Image":"${"x".repeat(5 << 20)}"}`);
    expect([statusOf(answer), messageOf(answer)]).toEqual([413, "the request body is larger than 4 MiB"]);
    const load = "POST /images/load HTTP/1.1\r\nContent-Type: application/x-tar";
    expect(await api.ask(load, "x".repeat(5 << 20))).toMatch(/Loaded 5242880 bytes/);
  });
});

describe("filters", () => {
  it("come in both encodings", async () => {
    for (const value of [`{"label":{"a=b":true,"c":false}}`, `{"label":["a=b"]}`]) {
      await api.ask(`GET /containers/json?filters=${encodeURIComponent(value)} HTTP/1.1`);
      expect(api.engine.lastFilters).toEqual(new Map([["label", ["a=b"]]]));
    }
  });

  it.each([
    [`{"foo":["x"]}`, "invalid filter 'foo'"],
    [`nonsense`, "invalid filter"],
    [`{"label":7}`, "invalid filter"],
    [`[]`, "invalid filter"],
  ])("are refused when they are %s", async (value, message) => {
    const answer = await api.ask(`GET /containers/json?filters=${encodeURIComponent(value)} HTTP/1.1`);
    expect([statusOf(answer), messageOf(answer)]).toEqual([400, message]);
  });
});

describe("a connection that becomes stdio", () => {
  const upgrade = "Connection: Upgrade\r\nUpgrade: tcp\r\nHost: x\r\n";
  const frame = (stream: number, text: string): string =>
    `${String.fromCharCode(stream, 0, 0, 0, 0, 0, 0, text.length)}${text}`;

  it("answers 101 at once and keeps sending after the client has closed its side", async () => {
    const id = await running();
    const connection = api.dial(`POST /containers/${id}/attach?stream=1&stdout=1&stderr=1 HTTP/1.1\r\n${upgrade}\r\n`);
    const head = await connection.until((text) => text.includes("\r\n\r\n"));
    expect(head).toMatch(/^HTTP\/1\.1 101 UPGRADED\r\n/);
    expect(headerOf(head, "Content-Type")).toBe("application/vnd.docker.multiplexed-stream");
    connection.socket.end();
    await expect.poll(() => api.server.connections).toBe(1); // the client's pool still has one
    api.engine.records.get(id)?.process.print("stderr", "late\n");
    await connection.until((text) => text.endsWith(frame(2, "late\n")));
    await api.docker.getContainer(id).kill();
    expect(await connection.ended).toMatch(/late\n$/);
  });

  it("is raw for a tty and for clients older than 1.42", async () => {
    const type = async (path: string): Promise<string | undefined> => {
      const connection = api.dial(`POST ${path}/attach?stream=1&stdout=1 HTTP/1.1\r\n${upgrade}\r\n`);
      const head = await connection.until((text) => text.includes("\r\n\r\n"));
      connection.socket.destroy();
      return headerOf(head, "Content-Type");
    };
    expect(await type(`/containers/${await running({ Tty: true })}`)).toBe("application/vnd.docker.raw-stream");
    expect(await type(`/v1.41/containers/${await running()}`)).toBe("application/vnd.docker.raw-stream");
  });

  it("is 200 and raw bytes until the end without Upgrade", async () => {
    const id = await running();
    const connection = api.dial(`POST /containers/${id}/attach?stream=1&stdout=1 HTTP/1.1\r\nHost: x\r\n\r\n`);
    const head = await connection.until((text) => text.includes("\r\n\r\n"));
    expect(head).toMatch(/^HTTP\/1\.1 200 OK\r\nContent-Type: application\/vnd\.docker\.raw-stream\r\n/);
    expect(head).not.toMatch(/Transfer-Encoding|Content-Length/i);
    api.engine.records.get(id)?.process.print("stdout", "out\n");
    await connection.until((text) => text.endsWith(frame(1, "out\n")));
    await api.docker.getContainer(id).kill();
    await connection.ended;
  });

  it("takes stdin on a connection without Upgrade", async () => {
    const id = await running();
    const exec = await api.docker.getContainer(id).exec({ Cmd: ["cat"], AttachStdin: true });
    const body = `{"Detach":false,"Tty":false}`;
    const type = "Content-Type: application/json";
    const connection = api.dial(
      `POST /exec/${exec.id}/start HTTP/1.1\r\nHost: x\r\n${type}\r\nContent-Length: ${body.length}\r\n\r\n${body}`,
    );
    await connection.until((text) => text.includes("\r\n\r\n"));
    connection.socket.end("over\n");
    expect(await connection.ended).toMatch(/over\n$/);
    expect(Buffer.concat(api.engine.execProcess(exec.id)?.received ?? []).toString()).toBe("over\n");
  });

  it.each(["in one piece", "in two pieces"])("parts the body from the stream %s", async (how) => {
    const id = await running();
    const exec = await api.docker.getContainer(id).exec({ Cmd: ["cat"], AttachStdin: true });
    const body = `{"Detach":false,"Tty":true}`;
    const head = `POST /exec/${exec.id}/start HTTP/1.1\r\n${upgrade}Content-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n`;
    const connection = api.dial(how === "in one piece" ? `${head}${body}first\n` : head);
    if (how !== "in one piece") {
      await new Promise((resume) => setImmediate(resume));
      connection.socket.write(`${body.slice(0, 5)}`);
      await new Promise((resume) => setImmediate(resume));
      connection.socket.write(`${body.slice(5)}first\n`);
    }
    await connection.until((text) => text.includes("101 UPGRADED"));
    connection.socket.end("second\n");
    expect(await connection.ended).toMatch(/first\nsecond\n$/);
    expect(Buffer.concat(api.engine.execProcess(exec.id)?.received ?? []).toString()).toBe("first\nsecond\n");
  });

  it("swallows the empty chunked body that dockerode sends along", async () => {
    const id = await running({ OpenStdin: true });
    const head = `POST /containers/${id}/attach?stream=1&stdin=1&stdout=1 HTTP/1.1\r\n${upgrade}Transfer-Encoding: chunked\r\n\r\n`;
    const connection = api.dial(`${head}0\r\n\r\ninput`);
    await connection.until((text) => text.includes("101 UPGRADED"));
    const received = (): string => Buffer.concat(api.engine.records.get(id)?.process.received ?? []).toString();
    await expect.poll(received).toBe("input");
    connection.socket.destroy();
  });

  it("refuses an attach in plain text and an exec in JSON", async () => {
    const attach = await api.dial(`POST /containers/nope/attach?stream=1 HTTP/1.1\r\n${upgrade}\r\n`).ended;
    expect(statusOf(attach)).toBe(404);
    expect(headerOf(attach, "Content-Type")).toBe("application/vnd.docker.raw-stream");
    expect(attach).toMatch(/\r\n\r\nNo such container: nope\n$/);
    const plain = await api.dial("POST /containers/nope/attach?stream=1 HTTP/1.1\r\nHost: x\r\n\r\n").ended;
    expect(plain).toMatch(/^HTTP\/1\.1 404 Not Found\r\n[^]*\r\n\r\nNo such container: nope\n$/);
    const exec = await api.dial(`POST /exec/nope/start HTTP/1.1\r\n${upgrade}\r\n`).ended;
    expect([statusOf(exec), messageOf(exec)]).toEqual([404, "No such exec instance: nope"]);
  });

  it("starts a detached exec with an empty answer", async () => {
    const exec = await api.docker.getContainer(await running()).exec({ Cmd: ["echo"] });
    const answer = await api.ask(
      `POST /exec/${exec.id}/start HTTP/1.1\r\nContent-Type: application/json`,
      `{"Detach":true}`,
    );
    expect([statusOf(answer), headerOf(answer, "Content-Length")]).toEqual([200, "0"]);
  });

  it("lets go of the process when the client vanishes, even when there is nothing to tell it", async () => {
    const id = await running();
    const attachments = (): number => api.engine.records.get(id)?.process.sessions ?? 0;
    const request = `POST /containers/${id}/attach?stream=1&stdout=1 HTTP/1.1\r\n${upgrade}\r\n`;
    const [gone, listening] = [api.dial(request), api.dial(request)];
    await Promise.all([gone, listening].map((connection) => connection.until((text) => text.includes("\r\n\r\n"))));
    expect(attachments()).toBe(2);
    listening.socket.end();
    gone.socket.destroy();
    await expect.poll(attachments, { timeout: 10_000 }).toBe(1);
    api.engine.records.get(id)?.process.print("stdout", "still there\n");
    await listening.until((text) => text.endsWith("still there\n"));
    expect((await api.docker.getContainer(id).inspect()).State.Running).toBe(true);
    listening.socket.destroy();
  });

  it("answers an ordinary page as if the header were not there", async () => {
    const answer = await api.dial("GET /_ping HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: h2c\r\nHost: x\r\n\r\n")
      .ended;
    expect(answer).toMatch(/^HTTP\/1\.1 200 OK[^]*OK$/);
  });
});

describe("streams", () => {
  it.each(["wait", "logs?follow=1&stdout=1", "stats"])(
    "send the headers of %s before there is anything to say",
    async (page) => {
      const id = await running();
      const method = page === "wait" ? "POST" : "GET";
      const connection = api.dial(`${method} /containers/${id}/${page} HTTP/1.1\r\nHost: x\r\n\r\n`);
      expect(statusOf(await connection.until((text) => text.includes("\r\n\r\n")))).toBe(200);
      connection.socket.destroy();
    },
  );

  it("give a time in nanoseconds as an integer", async () => {
    const connection = api.dial("GET /events HTTP/1.1\r\nHost: x\r\n\r\n");
    await connection.until((text) => text.includes("\r\n\r\n"));
    await expect.poll(() => api.engine.followers).toBe(1);
    const message = { Type: "container", Action: "die", Actor: { ID: "x", Attributes: {} }, scope: "local" } as const;
    api.engine.emit({ ...message, time: 1, timeNano: "1795221320483000001" });
    await connection.until((text) => text.includes(`"time":1,"timeNano":1795221320483000001}\n`));
    connection.socket.destroy();
  });

  it("end on the engine's side when the client has gone, even with nothing to send", async () => {
    const id = await running();
    for (const page of ["/events", `/containers/${id}/logs?follow=1&stdout=1`]) {
      const connection = api.dial(`GET ${page} HTTP/1.1\r\nHost: x\r\n\r\n`);
      await connection.until((text) => text.includes("\r\n\r\n"));
      await expect.poll(() => api.engine.followers).toBe(1);
      connection.socket.destroy();
      await expect.poll(() => api.engine.followers).toBe(0);
    }
  });

  it("carry a failure of a pull as their last line", async () => {
    const answer = await api.ask("POST /images/create?fromImage=a/broken&tag=1 HTTP/1.1");
    expect(statusOf(answer)).toBe(200);
    expect(answer).toMatch(/"error":"the layer is broken"\}\r\n/);
    expect(statusOf(await api.ask("POST /images/create?fromImage=a/missing HTTP/1.1"))).toBe(404);
  });
});

describe("requests about containers", () => {
  it("have the status codes clients rely on", async () => {
    const id = await running();
    const post = async (page: string): Promise<number> =>
      statusOf(await api.ask(`POST /containers/${id}/${page} HTTP/1.1`));
    expect(await post("start")).toBe(304);
    expect(await post("kill?signal=NONSENSE")).toBe(400);
    expect(await post("wait?condition=nonsense")).toBe(400);
    expect(await post("resize?h=x&w=1")).toBe(400);
    expect(await post("resize?h=10&w=20")).toBe(200);
    expect(await post("rename?name=")).toBe(400);
    expect(await post("stop?t=0")).toBe(204);
    expect(await post("stop")).toBe(304);
    expect(await post("kill")).toBe(409);
    expect(statusOf(await api.ask(`GET /containers/${id}/logs HTTP/1.1`))).toBe(400);
    expect(statusOf(await api.ask(`GET /containers/${id}/archive HTTP/1.1`))).toBe(400);
    expect(statusOf(await api.ask(`POST /containers/${id}/start HTTP/1.1`, `{"a":"body"}`))).toBe(400);
    expect(statusOf(await api.ask(`DELETE /containers/${id} HTTP/1.1`))).toBe(204);
  });

  it("carry the stat of an archive in a header", async () => {
    const answer = await api.ask(`HEAD /containers/${await running()}/archive?path=/etc HTTP/1.1`);
    const header = Buffer.from(headerOf(answer, "X-Docker-Container-Path-Stat") ?? "", "base64").toString();
    expect(JSON.parse(header)).toMatchObject({ name: "/etc", mode: 0o644 });
  });
});

describe("the socket", () => {
  it("is for root and its group", () => {
    expect(statSync(api.socketPath).mode & 0o777).toBe(0o660);
  });

  it("is not taken from a server that answers", async () => {
    const second = createServer(api.engine);
    const refusal: unknown = await second.listen(api.socketPath).then(
      () => undefined,
      (error: unknown) => error,
    );
    expect(isTscomposeError(refusal, "engine/locked")).toBe(true);
    expect(await api.docker.ping()).toBe("OK");
  });
});
