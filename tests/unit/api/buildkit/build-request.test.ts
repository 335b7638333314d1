import { describe, expect, it } from "vitest";
import { buildRequestOf, uploadOf } from "../../../../src/api/buildkit/build-request.ts";
import { definitionOf, imageOf, isEmpty } from "../../../../src/api/buildkit/definitions.ts";
import { definition } from "../../../../src/api/buildkit/messages.ts";
import type { ClientFolder } from "../../../../src/engine/build/types.ts";

const id = `sha256:${"a".repeat(64)}`;
const folder = (name: string, kind: string): ClientFolder => ({
  key: `${kind}:${name}`,
  read: () => Promise.resolve(new Map()),
  sync: () => Promise.resolve(),
});

function request(attributes: Readonly<Record<string, string>>, inputs = new Map()): ReturnType<typeof buildRequestOf> {
  return buildRequestOf(
    {
      attributes: new Map(Object.entries(attributes)),
      inputs,
      entitlements: [],
      tags: [],
      keepImage: true,
      cacheFrom: [],
      cacheTo: [],
    },
    { folder, client: undefined, secrets: new Map(), signal: new AbortController().signal },
  );
}

describe("the attributes of BuildKit's Dockerfile front end", () => {
  it("become a request for our builder", () => {
    const made = request({
      filename: "sub/Dockerfile.x",
      target: "t",
      "build-arg:A": "1",
      "label:x.y": "z",
      "no-cache": "",
      platform: "linux/amd64",
      "image-resolve-mode": "pull",
      "add-hosts": "a=1.2.3.4,b=::1",
      "force-network-mode": "none",
      "shm-size": "65536",
      ulimit: "nofile=1:2,nproc=3",
    });
    expect(made).toMatchObject({
      dockerfile: "sub/Dockerfile.x",
      target: "t",
      buildArgs: { A: "1" },
      labels: { "x.y": "z" },
      noCache: "all",
      platform: "linux/amd64",
      pull: true,
      extraHosts: ["a:1.2.3.4", "b:::1"],
      network: "none",
      limits: {
        shmSize: 65536,
        ulimits: [
          { Name: "nofile", Soft: 1, Hard: 2 },
          { Name: "nproc", Soft: 3, Hard: 3 },
        ],
      },
    });
    expect(request({ "no-cache": "a,b" }).noCache).toEqual(["a", "b"]);
  });

  it("say where files come from: the client, the network, another build", () => {
    expect(request({}).context).toMatchObject({ kind: "client", folder: { key: "context:context" } });
    expect(request({}).dockerfileFolder?.key).toBe("dockerfile:dockerfile");
    const remote = request({ context: "https://example.com/x.git" });
    expect(remote).toMatchObject({ context: { kind: "remote", url: "https://example.com/x.git" } });
    expect(remote.dockerfileFolder).toBeUndefined();
    expect(uploadOf(new Map([["context", "http://buildkit-session/abc"]]))?.pathname).toBe("/abc");
    const inputs = new Map([["0-a", definitionOf(id)]]);
    const named = {
      "context:l": "local:other",
      "context:i::linux/amd64": "docker-image://x:1",
      "context:t": "input:0-a",
    };
    expect(request(named, inputs).namedContexts).toMatchObject({
      l: { kind: "client", folder: { key: "named:other" } },
      i: { kind: "image", reference: "x:1" },
      t: { kind: "image", reference: id },
    });
  });

  it("name the platforms", () => {
    expect(request({ platform: "linux/amd64,linux/arm64" }).platform).toBe("linux/amd64,linux/arm64");
    expect(request({}).platform).toBeUndefined();
  });

  it.each([
    [{ "context:x": "oci-layout://y" }, /the context x=oci-layout:\/\/y is not supported/],
    [{ "context:x": "input:nothing" }, /graph of operations/],
    [{ "attest:sbom": "" }, /SBOM/],
    [{ ulimit: "nofile" }, /invalid ulimit: nofile/],
    [{ "shm-size": "-1" }, /invalid shm-size: -1/],
    [{ "cache-imports": "{" }, /not the JSON/],
  ])("are refused where they ask for what there is not: %j", (attributes, reason) => {
    expect(() => request(attributes as unknown as Record<string, string>)).toThrow(reason);
  });
});

describe("a result that is handed to another build", () => {
  it("is found again, and what is not ours is not", () => {
    const through = definition.decode(definition.encode(definitionOf(id)));
    expect(imageOf(through)).toBe(id);
    expect(isEmpty(through)).toBe(false);
    expect(imageOf(undefined)).toBeUndefined();
    expect(imageOf({ operations: [Buffer.from("1a0708746573743a2f2f", "hex").subarray(0, 0)] })).toBeUndefined();
  });
});
