/** What Docker Compose 5.5 prints with `build --print` for the same model is the measure of `bakeFile`. */
import { describe, expect, test } from "vitest";
import { bakeFile } from "../../../src/compose/bake.ts";
import { plainBuild, requestsOf } from "../../../src/compose/build.ts";
import { buildRequest } from "../../../src/compose/build-request.ts";
import type { Build } from "../../../src/spec/model.ts";
import { aProject } from "../../support/planner-fixtures.ts";

const requestOf = (build: Build) => buildRequest(aProject({ services: { web: { build } } }), "web", plainBuild);

describe("the build section", () => {
  test("names contexts by folder, URL, image, layout and service", () => {
    const { context, contexts } = requestOf({
      context: "https://host/repo.git#main",
      additional_contexts: {
        folder: "/src",
        git: "git@host:repo",
        image: "docker-image://busybox:1",
        layout: "oci-layout:///images:tag",
        byDigest: `oci-layout:///images@sha256:${"a".repeat(64)}`,
        other: "service:base",
      },
    });
    expect(context).toEqual({ kind: "remote", url: "https://host/repo.git#main" });
    expect(contexts).toEqual({
      folder: { kind: "folder", directory: "/src" },
      git: { kind: "remote", url: "git@host:repo" },
      image: { kind: "image", reference: "busybox:1" },
      layout: { kind: "layout", directory: "/images", name: "tag" },
      byDigest: { kind: "layout", directory: "/images", name: `sha256:${"a".repeat(64)}` },
      other: { kind: "service", service: "base" },
    });
  });

  test.each([
    [{ additional_contexts: { a: "ftp://host/x" } }, /additional_contexts: a: ftp/],
    [{ context: "docker-image://busybox" }, /build\.context docker-image/],
    [{ isolation: "hyperv" }, /build\.isolation/],
  ])("%j is refused by name", (build, message) => expect(() => requestOf(build)).toThrow(message));

  test("privileged asks for the entitlement", () => {
    expect(requestOf({ privileged: true, entitlements: ["network.host"] }).entitlements).toEqual([
      "network.host",
      "security.insecure",
    ]);
  });

  test("builds the services that a build stands on, first, and once", () => {
    const project = aProject({
      services: { web: { build: { additional_contexts: { base: "service:base" } } } },
      disabledServices: { base: { build: { context: "/base" } } },
    });
    expect([...requestsOf(project, plainBuild).keys()]).toEqual(["base", "web"]);
  });

  test("services that stand on each other are refused with the circle", () => {
    const project = aProject({
      services: {
        a: { build: { additional_contexts: { x: "service:b" } } },
        b: { build: { additional_contexts: { x: "service:a" } } },
      },
    });
    expect(() => requestsOf(project, plainBuild)).toThrow("a -> b -> a");
  });
});

describe("--print", () => {
  test("prints what Docker Compose prints", () => {
    const project = aProject({
      services: {
        base: { image: "demo-base", build: { context: "/tmp/pj", dockerfile_inline: "FROM busybox" } },
        web: {
          image: "reg/web:1",
          build: {
            context: "/tmp/pj/web",
            dockerfile: "../Other",
            args: { A: "1", B: null },
            target: "t",
            labels: { x: "y" },
            tags: ["a:1", "b:2"],
            network: "host",
            shm_size: "64m",
            ssh: [
              { id: "default", path: "" },
              { id: "k", path: "/tmp/key" },
            ],
            extra_hosts: ["a:1.2.3.4"],
            ulimits: { nofile: { soft: 1, hard: 2 }, nproc: 3 },
            additional_contexts: { b: "service:base", d: "/tmp/pj/dir", i: "docker-image://busybox" },
            privileged: true,
            no_cache_filter: ["x"],
            sbom: "true",
            provenance: "mode=max",
          },
        },
      },
    });
    expect(bakeFile(project, { ...plainBuild, noCache: true, args: { Q: "1" }, push: false })).toEqual({
      group: { default: { targets: ["base", "web"] } },
      target: {
        base: {
          context: "/tmp/pj",
          "dockerfile-inline": "FROM busybox",
          args: { Q: "1" },
          labels: { "com.docker.compose.project": "app", "com.docker.compose.service": "base" },
          tags: ["demo-base"],
          "no-cache": true,
          output: ["type=docker"],
        },
        web: {
          context: "/tmp/pj/web",
          contexts: { b: "target:base", d: "/tmp/pj/dir", i: "docker-image://busybox" },
          dockerfile: "/tmp/pj/Other",
          args: { A: "1", Q: "1" },
          labels: { "com.docker.compose.project": "app", "com.docker.compose.service": "web", x: "y" },
          tags: ["a:1", "b:2", "reg/web:1"],
          target: "t",
          ssh: ["default=", "k=/tmp/key"],
          "no-cache": true,
          network: "host",
          "no-cache-filter": ["x"],
          "shm-size": "67108864",
          ulimits: ["nofile=1:2", "nproc=3"],
          entitlements: ["security.insecure"],
          "extra-hosts": { a: "1.2.3.4" },
          output: ["type=docker"],
          attest: ["type=provenance,mode=max", "type=sbom"],
        },
      },
    });
  });
});
