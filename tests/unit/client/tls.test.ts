import { execFileSync, spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createServer } from "node:https";
import type { Server } from "node:https";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TLSSocket } from "node:tls";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Docker } from "../../../src/client/docker.ts";
import { isTscomposeError } from "../../../src/errors.ts";

const hasOpenssl = spawnSync("openssl", ["version"]).status === 0;
if (!hasOpenssl) console.warn("not run: no openssl to make certificates with: the client over TLS");

describe.skipIf(!hasOpenssl)("the client over TLS", () => {
  let directory: string;
  let server: Server;
  let port: number;
  beforeAll(async () => {
    directory = mkdtempSync(join(tmpdir(), "tsc-tls-"));
    const [key, cert] = [join(directory, "key.pem"), join(directory, "cert.pem")];
    const subject = ["-subj", "/CN=engine", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"];
    const request = ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"];
    execFileSync("openssl", [...request, "-keyout", key, "-out", cert, ...subject], { stdio: "ignore" });
    const pem = { key: readFileSync(key), cert: readFileSync(cert) };
    server = createServer(
      { ...pem, ca: pem.cert, requestCert: true, rejectUnauthorized: true },
      (request_, response) => {
        const client = (request_.socket as TLSSocket).getPeerCertificate().subject.CN;
        response.setHeader("Content-Type", "application/json");
        response.end(JSON.stringify({ ID: `${String(client)} ${request_.url}` }));
      },
    );
    server.on("upgrade", (_request, socket) => {
      socket.write("HTTP/1.1 101 UPGRADED\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n");
      socket.on("data", (chunk) => socket.end(`heard ${String(chunk)}`));
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    port = (server.address() as AddressInfo).port;
  });
  afterAll(async () => {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
    rmSync(directory, { recursive: true });
  });
  const certificates = (): { ca: Buffer; cert: Buffer; key: Buffer } => {
    const cert = readFileSync(join(directory, "cert.pem"));
    return { ca: cert, cert, key: readFileSync(join(directory, "key.pem")) };
  };

  it.each(["127.0.0.1", "localhost"])("shows its certificate to %s and checks the server's", async (host) => {
    const docker = new Docker({ host: `tcp://${host}:${port}`, ...certificates() });
    expect((await docker.info()).ID).toBe("engine /v1.51/info");
    const stream = await docker.getContainer("x").attach({ stream: true, stdin: true });
    stream.write("hello");
    let answer = "";
    for await (const chunk of stream) answer += String(chunk);
    expect(answer).toBe("heard hello");
    docker.close();
  });

  it("does not talk to a server whose certificate nobody vouches for", async () => {
    const { cert, key } = certificates();
    const docker = new Docker({ host: `https://127.0.0.1:${port}`, cert, key });
    const refusal: unknown = await docker.info().catch((error: unknown) => error);
    expect(isTscomposeError(refusal, "engine/unreachable") && refusal.message).toMatch(/SELF_SIGNED|UNABLE_TO_VERIFY/);
  });
});
