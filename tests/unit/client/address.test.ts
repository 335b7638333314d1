import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { formatAddress, resolveAddress } from "../../../src/client/address.ts";

const of = (host: string | undefined, env: Readonly<Record<string, string>> = {}): string =>
  formatAddress(resolveAddress(host === undefined ? {} : { host }, env));

describe("the engine's address", () => {
  it("is the socket of Docker unless something else is said", () => {
    expect(of(undefined)).toBe("unix:///var/run/docker.sock");
    expect(of(undefined, { DOCKER_HOST: "unix:///tmp/x.sock" })).toBe("unix:///tmp/x.sock");
    expect(resolveAddress({ socketPath: "/a" }, { DOCKER_HOST: "tcp://b" })).toEqual({
      kind: "unix",
      socketPath: "/a",
    });
  });

  it.each([
    ["tcp://box", "tcp://box:2375"],
    ["tcp://box:1234", "tcp://box:1234"],
    ["box:1234", "tcp://box:1234"],
    ["http://box:80/", "tcp://box:80"],
    ["https://box", "https://box:2376"],
    ["tcp://[::1]:2376", "https://[::1]:2376"],
    ["tcp://10.0.0.1:99", "tcp://10.0.0.1:99"],
  ])("reads %s", (text, expected) => {
    expect(of(text)).toBe(expected);
  });

  it("asks for TLS when the environment does", () => {
    expect(of("tcp://box:1234", { DOCKER_TLS_VERIFY: "1" })).toBe("https://box:1234");
  });

  it("reads the certificates that the environment names, or says which is missing", () => {
    const directory = mkdtempSync(join(tmpdir(), "tsc-cert-"));
    try {
      for (const name of ["ca", "cert"]) writeFileSync(join(directory, `${name}.pem`), name);
      expect(() => of("tcp://box:1", { DOCKER_CERT_PATH: directory })).toThrow(/cannot read .*key\.pem/);
      writeFileSync(join(directory, "key.pem"), "key");
      const address = resolveAddress({ host: "tcp://box:1" }, { DOCKER_CERT_PATH: directory });
      expect(address).toMatchObject({ protocol: "https", tls: { key: Buffer.from("key") } });
    } finally {
      rmSync(directory, { recursive: true });
    }
  });

  it.each([
    "ssh://box",
    "npipe:////./pipe/x",
    "ftp://box",
    "tcp://",
    "tcp://a b",
    "tcp://box:notaport",
    "tcp://user@box",
  ])("refuses %s with a hint", (text) => {
    expect(() => of(text)).toThrow(/engine address/);
  });
});
