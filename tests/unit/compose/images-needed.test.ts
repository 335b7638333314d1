import { describe, expect, test } from "vitest";

import {
  imageReferences,
  imagesNeeded,
  type ImageNeed,
  type PullOverride,
} from "../../../src/compose/images-needed.ts";
import { registryOf } from "../../../src/compose/pull-image.ts";
import { withScales } from "../../../src/compose/scale.ts";
import type { Service } from "../../../src/spec/model.ts";
import { anImage, aProject } from "../../support/planner-fixtures.ts";

const nowMs = Date.parse("2026-11-21T12:00:00Z");

function actionOf(
  spec: Partial<Service>,
  {
    present,
    pull = "policy",
    build = "missing",
    tagged = "2026-11-21T11:00:00Z",
  }: {
    readonly present: boolean;
    readonly pull?: PullOverride;
    readonly build?: "missing" | "always" | "never";
    readonly tagged?: string;
  },
): ImageNeed["action"] | undefined {
  const project = aProject({ services: { web: spec } });
  const inspect = { Id: "1", Metadata: { LastTagTime: tagged } } as never;
  const images = new Map(present ? imageReferences(project).map((name) => [name, anImage(name, { inspect })]) : []);
  return imagesNeeded(project, images, { pull, build, nowMs })[0]?.action;
}

describe("an image", () => {
  test.each([
    ["is pulled when it is missing", {}, { present: false }, "pull"],
    ["is left when it is here", {}, { present: true }, "none"],
    ["is pulled though it is here, when the policy says always", { pull_policy: "always" }, { present: true }, "pull"],
    ["is not pulled against --pull never", { pull_policy: "always" }, { present: true, pull: "never" }, "none"],
    ["is pulled by --pull always", {}, { present: true, pull: "always" }, "pull"],
    ["is left within the day of a daily policy", { pull_policy: "daily" }, { present: true }, "none"],
    [
      "is pulled after the day of a daily policy",
      { pull_policy: "daily" },
      { present: true, tagged: "2026-11-19T00:00:00Z" },
      "pull",
    ],
    ["is pulled after the time of every_30m", { pull_policy: "every_30m" }, { present: true }, "pull"],
    [
      "is built when it has no name of its own",
      { image: undefined, build: { context: "." } },
      { present: false },
      "build",
    ],
    ["is built again by --build", { build: { context: "." } }, { present: true, build: "always" }, "build"],
  ] as const)("%s", (_title, spec, options, expected) => {
    expect(actionOf(spec as Partial<Service>, options)).toBe(expected);
  });

  test("that is missing and must not be pulled is an error", () => {
    expect(() => actionOf({ pull_policy: "never" }, { present: false })).toThrow("its pull policy is never");
  });

  test("of several services is needed once, by the strongest of their policies", () => {
    const project = aProject({ services: { a: {}, b: { pull_policy: "always" } } });
    const images = new Map([["busybox", anImage("busybox")]]);
    expect(imagesNeeded(project, images, { pull: "policy", build: "missing", nowMs })).toMatchObject([
      { reference: "busybox", services: ["a", "b"], action: "pull" },
    ]);
  });

  test("that is mounted is needed too", () => {
    const project = aProject({ services: { web: { volumes: [{ type: "image", source: "assets:1", target: "/a" }] } } });
    expect(imageReferences(project)).toEqual(["busybox", "assets:1"]);
  });
});

test.each([
  ["busybox", "docker.io"],
  ["library/busybox", "docker.io"],
  ["localhost/x", "localhost"],
  ["registry.example:5000/a/b:1", "registry.example:5000"],
])("the registry of %s is %s", (reference, registry) => {
  expect(registryOf(reference)).toBe(registry);
});

describe("scales", () => {
  const project = aProject({ services: { web: {}, db: {} } });
  test("change the services they name", () => {
    const { services } = withScales(project, new Map([["web", 3]]));
    expect(services["web"]?.scale).toBe(3);
    expect(services["db"]).toBe(project.services["db"]);
  });
  test("of an unknown service are refused", () => {
    expect(() => withScales(project, new Map([["nope", 3]]))).toThrow("no such service: nope");
  });
});
