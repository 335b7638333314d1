import { describe, expect, test } from "vitest";
import {
  isInnerAddress,
  isLoopbackHost,
  mayShareCredentials,
  ownerDomain,
} from "../../../../../src/engine/images/registry/address-policy.ts";
import { parseChallenge } from "../../../../../src/engine/images/registry/challenge.ts";
import { decodeEntry } from "../../../../../src/engine/images/registry/credentials.ts";
import { endpointsFor } from "../../../../../src/engine/images/registry/endpoint.ts";
import { parseRegistryConfig } from "../../../../../src/engine/images/registry/registry-config.ts";
import { isRetriableStatus, parseRetryAfter, retryDelayMs } from "../../../../../src/engine/images/registry/retry.ts";
import { tokenRequest } from "../../../../../src/engine/images/registry/token.ts";

describe("WWW-Authenticate", () => {
  test("bearer with its parameters, before basic", () => {
    const header =
      'Basic realm="x", Bearer realm="https://auth.example/token",service="a \\"b\\"",scope="repository:x:pull,push"';
    expect(parseChallenge(header)).toEqual({
      scheme: "bearer",
      realm: "https://auth.example/token",
      service: 'a "b"',
      scope: "repository:x:pull,push",
    });
    expect(parseChallenge('Basic realm="x"')).toEqual({ scheme: "basic" });
    expect(parseChallenge("bearer realm=https://a.example")).toMatchObject({
      scheme: "bearer",
      realm: "https://a.example",
    });
  });
  test("nonsense is no challenge", () => {
    for (const header of [undefined, "", "=====", "Negotiate", `Bearer realm="${"x".repeat(10_000)}"`, "Bearer"])
      expect(parseChallenge(header)).toBeUndefined();
  });
});

describe("who may see credentials", () => {
  test.each([
    ["registry-1.docker.io", "auth.docker.io", true],
    ["registry.gitlab.com", "gitlab.com", true],
    ["ghcr.io", "ghcr.io", true],
    ["127.0.0.1", "127.0.0.1", true],
    ["registry.example.co.uk", "auth.example.co.uk", true],
    ["registry.example.co.uk", "evil.co.uk", false],
    ["registry.example.com", "example.com.evil.net", false],
    ["one.azurecr.io", "two.azurecr.io", false],
    ["me.github.io", "you.github.io", false],
    ["10.0.0.1", "10.0.0.2", false],
    ["registry.lan", "auth.other.lan", false],
  ])("%s -> %s: %s", (registry, realm, allowed) => expect(mayShareCredentials(registry, realm, [])).toBe(allowed));

  test("a host that the administrator names may too", () => {
    expect(mayShareCredentials("registry.example.com", "login.other.org", ["login.other.org"])).toBe(true);
    expect(ownerDomain("A.B.Example.COM")).toBe("example.com");
  });

  const challenge = { scheme: "bearer" as const, realm: "https://auth.evil.net/token", service: "s", scope: undefined };
  const policy = { registryHost: "registry.example.com", insecure: false, tokenHosts: [] };
  test("a realm of a stranger gets none, but may be asked without", () => {
    const credentials = { username: "kim", password: "canary" };
    expect(() => tokenRequest(challenge, ["repository:x:pull"], { credentials, policy })).toThrow(
      "which is not of its domain: refused",
    );
    const anonymous = tokenRequest(challenge, ["repository:x:pull", "repository:y:pull"], {
      credentials: undefined,
      policy,
    });
    expect(anonymous.url.href).toBe(
      "https://auth.evil.net/token?service=s&scope=repository%3Ax%3Apull&scope=repository%3Ay%3Apull",
    );
    expect(anonymous.headers).toEqual({});
  });
  test.each([
    "http://auth.example.com/t",
    "file:///etc/passwd",
    "https://u:p@auth.example.com/",
    "",
    "https://a.example.com/\r\nX: y",
    `https://a.example.com/${"x".repeat(3000)}`,
  ])("unusable realm %# is refused", (realm) =>
    expect(() => tokenRequest({ ...challenge, realm }, [], { credentials: undefined, policy })).toThrow(),
  );
  test("an identity token is sent in the body, never in the URL", () => {
    const request = tokenRequest({ ...challenge, realm: "https://auth.example.com/t" }, ["s"], {
      credentials: { identitytoken: "canary" },
      policy,
    });
    expect(request.method).toBe("POST");
    expect(request.url.href).not.toContain("canary");
    expect(request.body?.toString()).toContain("refresh_token=canary");
  });
});

test("addresses of the machine itself and of its link are inner", () => {
  for (const address of ["127.0.0.1", "169.254.169.254", "0.0.0.0", "::1", "fe80::1", "::ffff:127.0.0.1"])
    expect(isInnerAddress(address)).toBe(true);
  for (const address of ["8.8.8.8", "10.0.0.1", "2001:db8::1", "example.com"])
    expect(isInnerAddress(address)).toBe(false);
  expect(["localhost", "127.9.9.9", "[::1]"].every(isLoopbackHost)).toBe(true);
  expect(["127.0.0.1.evil.net", "localhost.evil.net", "10.0.0.1"].some(isLoopbackHost)).toBe(false);
});

describe("which address a registry has", () => {
  const config = {
    ...parseRegistryConfig('{"insecure":["lan:5000"],"mirrors":{"docker.io":["https://m.example/base"]}}', ""),
    certificateDirs: [],
    systemCertificates: undefined,
  };
  const bases = (domain: string): readonly (readonly string[])[] =>
    endpointsFor(domain, config).map((endpoint) => endpoint.bases.map((url) => url.href));
  test("Docker Hub behind its mirror, TLS everywhere but where it was said otherwise and on loopback", () => {
    expect(bases("docker.io")).toEqual([["https://m.example/base/"], ["https://registry-1.docker.io/"]]);
    expect(bases("ghcr.io")).toEqual([["https://ghcr.io/"]]);
    expect(bases("lan:5000")).toEqual([["https://lan:5000/", "http://lan:5000/"]]);
    expect(bases("127.0.0.1:5000")).toEqual([["http://127.0.0.1:5000/", "https://127.0.0.1:5000/"]]);
  });
  test("mirrors come from the environment too, and nonsense is refused", () => {
    expect(parseRegistryConfig("{}", "http://a:1, quay.io=https://b").mirrors).toEqual(
      new Map([
        ["docker.io", ["http://a:1"]],
        ["quay.io", ["https://b"]],
      ]),
    );
    for (const text of [
      "[]",
      '{"miror":{}}',
      '{"mirrors":{"x":["ftp://y"]}}',
      '{"insecure":"x"}',
      '{"mirrors":{"x":["https://u:p@y"]}}',
    ]) {
      expect(() => parseRegistryConfig(text, "")).toThrow();
    }
  });
});

describe("trying again", () => {
  test("what may pass is tried again, what will not is not", () => {
    expect([429, 500, 502, 503, 504].every(isRetriableStatus)).toBe(true);
    expect([200, 400, 401, 404, 501].some(isRetriableStatus)).toBe(false);
  });
  test("Retry-After in seconds or as a date; nonsense counts as none", () => {
    expect(parseRetryAfter("3", 0)).toBe(3000);
    expect(parseRetryAfter("Thu, 01 Jan 1970 00:00:10 GMT", 4000)).toBe(6000);
    for (const header of [undefined, "soon", "-1", "1e9"]) expect(parseRetryAfter(header, 0) ?? "none").toBe("none");
  });
  test("without it half a second, doubled, with jitter", () => {
    expect([1, 2, 3, 4].map((attempt) => retryDelayMs(attempt, undefined, 0.5))).toEqual([500, 1000, 2000, 4000]);
    expect(retryDelayMs(1, undefined, 0)).toBe(375);
    expect(retryDelayMs(3, 7, 0.5)).toBe(7);
  });
});

test("entries of docker's config file", () => {
  const auth = Buffer.from("kim:a:b").toString("base64");
  expect(decodeEntry({ auth })).toEqual({ username: "kim", password: "a:b" });
  expect(decodeEntry({ identitytoken: "t" })).toEqual({ identitytoken: "t" });
  expect(decodeEntry({})).toBeUndefined();
  expect(decodeEntry({ auth: 5 })).toBeUndefined();
});
