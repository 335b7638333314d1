import { describe, expect, it } from "vitest";
import { routes } from "../../../src/api/routes.ts";
import { parseRepositoryTag } from "../../../src/client/repository-tag.ts";
import { buildTarget } from "../../../src/client/request-target.ts";

describe("a request", () => {
  it("has in its query what the route names, and the rest in its body", () => {
    const target = buildTarget(routes.containerCreate, {}, { name: "web", Image: "busybox", abortSignal: {} });
    expect(target).toEqual({ path: "/containers/create?name=web", headers: {}, body: `{"Image":"busybox"}` });
  });

  it("sends filters as JSON, lists as repeated keys, nothing for undefined", () => {
    const { path } = buildTarget(routes.imageList, {}, { filters: { label: ["a=b"] }, all: true, digests: undefined });
    expect(decodeURIComponent(path)).toBe(`/images/json?filters={"label":["a=b"]}&all=true`);
    expect(buildTarget(routes.imageSaveMany, {}, { names: ["a", "b"] }).path).toBe("/images/get?names=a&names=b");
  });

  it("cannot be led to another path by a name", () => {
    expect(buildTarget(routes.containerInspect, { id: "../images/x?y#" }, {}).path).toBe(
      "/containers/..%2Fimages%2Fx%3Fy%23/json",
    );
  });

  it("keeps credentials out of the address", () => {
    const { path, headers } = buildTarget(routes.imagePull, {}, { fromImage: "a", authconfig: { password: "ÿþ?" } });
    expect(path).toBe("/images/create?fromImage=a");
    expect(JSON.parse(Buffer.from(headers["X-Registry-Auth"] ?? "", "base64url").toString())).toEqual({
      password: "ÿþ?",
    });
    expect(headers["X-Registry-Auth"]).not.toMatch(/[+/]/);
  });

  it.each([
    ["busybox", { repository: "busybox" }],
    ["busybox:1", { repository: "busybox", tag: "1" }],
    ["localhost:5000/a/b", { repository: "localhost:5000/a/b" }],
    ["localhost:5000/a/b:2", { repository: "localhost:5000/a/b", tag: "2" }],
    ["a@sha256:00", { repository: "a", tag: "sha256:00" }],
  ])("parts %s", (reference, expected) => {
    expect(parseRepositoryTag(reference)).toEqual(expected);
  });
});
