/** A registry of a few lines that serves one image and misbehaves as it is told: each request goes to `misbehave` first. */
import { createCipheriv, createHash } from "node:crypto";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { gzipSync } from "node:zlib";
import { makeTar } from "./tar-kit.ts";

export interface FakeRegistry {
  readonly host: string;
  readonly port: number;
  /** Method and path of each request, in order. */
  readonly requests: { readonly method: string; readonly path: string; readonly headers: IncomingMessage["headers"] }[];
  readonly layer: { readonly digest: string; readonly content: Buffer };
  readonly manifest: Buffer;
  readonly configDigest: string;
  /** Returns true when it has answered. */
  misbehave: (request: IncomingMessage, response: ServerResponse) => boolean;
  stop(): Promise<void>;
}

const sha256 = (content: Buffer): string => `sha256:${createHash("sha256").update(content).digest("hex")}`;

/** @param layerBytes of content that does not compress */
export async function startFakeRegistry(layerBytes = 300_000): Promise<FakeRegistry> {
  const noise = createCipheriv("aes-128-ctr", Buffer.alloc(16), Buffer.alloc(16)).update(Buffer.alloc(layerBytes));
  const tar = makeTar({ name: "noise", content: noise });
  const layer = gzipSync(tar);
  const config = Buffer.from(
    JSON.stringify({
      architecture: { x64: "amd64", arm64: "arm64" }[process.arch as string] ?? process.arch,
      os: "linux",
      rootfs: { type: "layers", diff_ids: [sha256(tar)] },
    }),
  );
  const manifest = Buffer.from(
    JSON.stringify({
      schemaVersion: 2,
      mediaType: "application/vnd.oci.image.manifest.v1+json",
      config: { mediaType: "application/vnd.oci.image.config.v1+json", digest: sha256(config), size: config.length },
      layers: [{ mediaType: "application/vnd.oci.image.layer.v1.tar+gzip", digest: sha256(layer), size: layer.length }],
    }),
  );
  const blobs = new Map([config, layer].map((content) => [sha256(content), content]));
  const server = createServer((request, response) => {
    const path = request.url ?? "";
    registry.requests.push({ method: request.method ?? "", path, headers: request.headers });
    if (registry.misbehave(request, response)) return;
    serve(path, request, response, { manifest, blobs });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  const registry: FakeRegistry = {
    host: `127.0.0.1:${port}`,
    port,
    requests: [],
    layer: { digest: sha256(layer), content: layer },
    manifest,
    configDigest: sha256(config),
    misbehave: () => false,
    stop: () =>
      new Promise((resolve) => {
        server.closeAllConnections();
        server.close(() => resolve());
      }),
  };
  return registry;
}

function serve(
  path: string,
  request: IncomingMessage,
  response: ServerResponse,
  { manifest, blobs }: { readonly manifest: Buffer; readonly blobs: ReadonlyMap<string, Buffer> },
): void {
  const blob = blobs.get(path.split("/").at(-1) ?? "");
  const start = Number(/^bytes=(\d+)-$/.exec(request.headers.range ?? "")?.[1] ?? 0);
  if (path === "/v2/") response.end();
  else if (path.includes("/manifests/"))
    response.setHeader("content-type", "application/vnd.oci.image.manifest.v1+json").end(manifest);
  else if (blob === undefined) response.writeHead(404).end();
  else if (start === 0) response.setHeader("content-length", blob.length).end(blob);
  else {
    response.writeHead(206, {
      "content-range": `bytes ${start}-${blob.length - 1}/${blob.length}`,
      "content-length": blob.length - start,
    });
    response.end(blob.subarray(start));
  }
}
