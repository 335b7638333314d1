/** Registries that fail, lie or point elsewhere: the image is right or there is an error, and nothing is left behind. */
import { createServer, type IncomingMessage, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { HttpConnections } from "../../../src/engine/images/registry/http.ts";
import { startFakeRegistry, type FakeRegistry } from "./fake-registry.ts";
import { makeStore, type StoreKit } from "./store-kit.ts";

let registry: FakeRegistry;
let kit: StoreKit;
let servers: Server[];
const name = (): string => `${registry.host}/team/app:1`;
const isLayer = (request: IncomingMessage): boolean => request.url?.endsWith(registry.layer.digest) === true;
const isManifest = (request: IncomingMessage): boolean => request.url?.includes("/manifests/") === true;

beforeEach(async () => {
  registry = await startFakeRegistry();
  kit = makeStore();
  servers = [];
});
afterEach(async () => {
  await kit.dispose();
  await registry.stop();
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
});

async function expectNothingLeft(): Promise<void> {
  await kit.store.close();
  for (const dir of ["images/tmp", "images/records", "images/layers", "l"])
    expect(readdirSync(join(kit.dataRoot, dir))).toEqual([]);
}

/** A second server, as another host would be. */
async function listen(
  answer: (request: IncomingMessage) => { readonly status: number; readonly body: string },
): Promise<{ readonly url: string; readonly seen: IncomingMessage["headers"][] }> {
  const seen: IncomingMessage["headers"][] = [];
  const server = createServer((request, response) => {
    seen.push(request.headers);
    const { status, body } = answer(request);
    response.writeHead(status, { connection: "close" }).end(body);
  });
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, seen };
}

describe("a registry that is busy", () => {
  test("is asked again after the time it names", async () => {
    let refusals = 2;
    registry.misbehave = (request, response) => {
      if (!isManifest(request) || refusals-- <= 0) return false;
      response.writeHead(429, { "retry-after": "0" }).end();
      return true;
    };
    await kit.pull(name());
    expect(registry.requests.filter(({ path }) => path.includes("/manifests/"))).toHaveLength(3);
  });

  test("for longer than a minute is not waited for: the error says how long", async () => {
    registry.misbehave = (request, response) =>
      isManifest(request) && response.writeHead(429, { "retry-after": "300" }).end() !== undefined;
    await expect(kit.pull(name())).rejects.toThrow("asks to come back in 300 seconds");
    expect(registry.requests.filter(({ path }) => path.includes("/manifests/"))).toHaveLength(1);
  });

  test("for ever is asked five times", async () => {
    registry.misbehave = (request, response) =>
      isManifest(request) && response.writeHead(503, { "retry-after": "0" }).end("<html>") !== undefined;
    await expect(kit.pull(name())).rejects.toMatchObject({
      code: "registry/failed",
      message: expect.stringContaining("status 503") as string,
    });
    expect(registry.requests.filter(({ path }) => path.includes("/manifests/"))).toHaveLength(5);
    await expectNothingLeft();
  });
});

describe("a transfer that breaks", () => {
  test("goes on where it stopped", async () => {
    let breaks = 2;
    registry.misbehave = (request, response) => {
      if (!isLayer(request) || breaks-- <= 0) return false;
      const start = Number(/\d+/.exec(request.headers.range ?? "0")?.[0]);
      const { content } = registry.layer;
      response.writeHead(start === 0 ? 200 : 206, {
        "content-length": content.length - start,
        ...(start === 0 ? {} : { "content-range": `bytes ${start}-${content.length - 1}/${content.length}` }),
      });
      response.write(content.subarray(start, start + 100_000), () => response.destroy());
      return true;
    };
    await kit.pull(name());
    expect(kit.store.resolve(name()).layerDirs).toHaveLength(1);
    const ranges = registry.requests
      .filter(({ path }) => path.endsWith(registry.layer.digest))
      .map(({ headers }) => headers.range);
    expect(ranges).toHaveLength(3);
    expect(ranges[0]).toBeUndefined();
    expect(Number(/\d+/.exec(ranges[2] ?? "")?.[0])).toBeGreaterThan(100_000);
  });

  test("and starts over from a registry without ranges is not counted twice", async () => {
    let breaks = 1;
    registry.misbehave = (request, response) => {
      if (!isLayer(request)) return false;
      const { content } = registry.layer;
      response.writeHead(200, { "content-length": content.length });
      if (breaks-- > 0) response.write(content.subarray(0, 50_000), () => response.destroy());
      else response.end(content);
      return true;
    };
    await kit.pull(name());
    expect(kit.store.resolve(name()).layerDirs).toHaveLength(1);
  });
});

describe("content that is not what was promised", () => {
  test.each([
    ["more bytes than the manifest says", (content: Buffer) => Buffer.concat([content, Buffer.from("more")])],
    [
      "one changed byte",
      (content: Buffer) => content.with(content.length >> 1, (content[content.length >> 1] ?? 0) ^ 1),
    ],
    ["a page of HTML", (content: Buffer) => Buffer.alloc(content.length, "<html>")],
  ])("%s", async (_, change) => {
    const bytes = Buffer.from(change(registry.layer.content) as Buffer);
    registry.misbehave = (request, response) => isLayer(request) && response.end(bytes) !== undefined;
    await expect(kit.pull(name())).rejects.toMatchObject({
      code: expect.stringMatching(/^image\/(digest-mismatch|invalid)$/) as string,
    });
    await expectNothingLeft();
  });

  test("a manifest that does not match the digest that was asked for, or that the registry claims", async () => {
    const digest = `sha256:${"0".repeat(64)}`;
    await expect(kit.pull(`${registry.host}/team/app@${digest}`)).rejects.toThrow(`expected ${digest}, got sha256:`);
    registry.misbehave = (request, response) => {
      if (isManifest(request)) response.setHeader("docker-content-digest", digest);
      return false;
    };
    await expect(kit.pull(name())).rejects.toMatchObject({ code: "image/digest-mismatch" });
  });

  test("a manifest without end is given up after 4 MiB", async () => {
    registry.misbehave = (request, response) => {
      if (!isManifest(request)) return false;
      const more = (): void => {
        while (!response.destroyed && response.write(Buffer.alloc(65_536, " ")));
        if (!response.destroyed) response.once("drain", more);
      };
      more();
      return true;
    };
    await expect(kit.pull(name())).rejects.toThrow("more than 4194304 bytes");
  });
});

test("addresses that a manifest names for a layer are never asked: it comes from the registry or not at all", async () => {
  const elsewhere = await listen(() => ({ status: 200, body: "not asked" }));
  const manifest = JSON.parse(registry.manifest.toString()) as { layers: { urls?: string[]; mediaType: string }[] };
  for (const layer of manifest.layers) {
    layer.mediaType = "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip";
    layer.urls = [`${elsewhere.url}/layer`];
  }
  registry.misbehave = (request, response) => {
    if (isManifest(request)) {
      response.writeHead(200, { "content-type": "application/vnd.oci.image.manifest.v1+json" });
      response.end(JSON.stringify(manifest));
      return true;
    }
    if (!isLayer(request)) return false;
    response.writeHead(404).end();
    return true;
  };
  await expect(kit.pull(name())).rejects.toMatchObject({ code: "image/not-found" });
  expect(elsewhere.seen).toEqual([]);
  await expectNothingLeft();
});

describe("redirects", () => {
  test("of blobs are followed, without the credentials", async () => {
    const storage = await listen(() => ({ status: 404, body: "" }));
    const other = new URL(storage.url);
    registry.misbehave = (request, response) => {
      if (request.headers.authorization === undefined)
        return response.writeHead(401, { "www-authenticate": "Basic realm=x" }).end() !== undefined;
      return isLayer(request) && response.writeHead(307, { location: `${other.href}blob` }).end() !== undefined;
    };
    const credentials = { username: "kim", password: "canary" };
    await expect(kit.pull(name(), { credentials })).rejects.toMatchObject({ code: "image/not-found" });
    expect(storage.seen).toHaveLength(1);
    expect(storage.seen[0]?.authorization).toBeUndefined();
    expect(JSON.stringify(storage.seen)).not.toContain("canary");
  });

  test.each(["file:///etc/passwd", "ftp://127.0.0.1/x", "http://user:pw@127.0.0.1/x"])(
    "to %s are refused",
    async (location) => {
      registry.misbehave = (request, response) =>
        isLayer(request) && response.writeHead(302, { location }).end() !== undefined;
      await expect(kit.pull(name())).rejects.toThrow("no http(s) address: refused");
    },
  );

  test("in a circle end", async () => {
    registry.misbehave = (request, response) =>
      isLayer(request) && response.writeHead(302, { location: request.url ?? "" }).end() !== undefined;
    await expect(kit.pull(name())).rejects.toThrow("redirects more than 10 times");
  });
});

describe("token servers", () => {
  const guarded = (realm: string): void => {
    registry.misbehave = (request, response) => {
      if (request.headers.authorization === "Bearer good") return false;
      response
        .writeHead(401, {
          "www-authenticate": `Bearer realm="${realm}",service="test",scope="repository:team/app:pull"`,
        })
        .end();
      return true;
    };
  };
  const credentials = { username: "kim", password: "canary" };

  test("get the credentials and give a token that opens the registry", async () => {
    const tokens = await listen(() => ({ status: 200, body: '{"token":"good","expires_in":300}' }));
    guarded(`${tokens.url}/token`);
    await kit.pull(name(), { credentials });
    expect(tokens.seen[0]?.authorization).toBe(`Basic ${Buffer.from("kim:canary").toString("base64")}`);
    expect(tokens.seen).toHaveLength(1);
  });

  test("of another host get none", async () => {
    guarded("http://localhost:1/token");
    await expect(kit.pull(name(), { credentials })).rejects.toThrow("is not of its domain: refused");
  });

  test.each([
    ["HTML", 200, "<html>canary</html>"],
    ["too much", 200, `{"token":"${"x".repeat(2 * 1024 * 1024)}"}`],
    ["a token with a line break", 200, '{"token":"a\\r\\nX: y"}'],
    ["an error", 500, ""],
  ])("that answer with %s are an error without secrets", async (_, status, body) => {
    const tokens = await listen(() => ({ status, body }));
    guarded(`${tokens.url}/token`);
    await expect(kit.pull(name(), { credentials })).rejects.toSatisfy(
      (error: Error) => !error.message.includes("canary"),
    );
  });
});

test("a host that only a registry named may not be an address of this machine, by number or by name", async () => {
  const connections = new HttpConnections();
  try {
    for (const host of ["127.0.0.1", "localhost", "[::1]", "169.254.169.254"]) {
      const send = connections.send({
        method: "GET",
        url: new URL(`http://${host}:${registry.port}/v2/`),
        headers: {},
        tls: { ca: undefined, client: undefined, unverified: false },
        outerOnly: true,
        signal: new AbortController().signal,
      });
      await expect(send).rejects.toThrow("an address of this machine: refused");
    }
    expect(registry.requests).toEqual([]);
  } finally {
    connections.close();
  }
});

test("an abort in the middle of a transfer ends it and leaves nothing", async () => {
  const abort = new AbortController();
  registry.misbehave = (request, response) => {
    if (!isLayer(request)) return false;
    response.writeHead(200, { "content-length": registry.layer.content.length });
    response.write(registry.layer.content.subarray(0, 70_000), () => setImmediate(() => abort.abort()));
    return true;
  };
  const stream = await kit.store.pull({
    reference: name(),
    platform: undefined,
    credentials: undefined,
    signal: abort.signal,
  });
  await expect(
    (async () => {
      for await (const message of stream) void message;
    })(),
  ).rejects.toMatchObject({ code: "aborted" });
  await expectNothingLeft();
});
