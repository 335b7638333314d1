import { expect, test } from "vitest";

import { formatPlan } from "../../../src/planner/plan.ts";
import { planTeardown, teardownGraph, type TeardownRequest } from "../../../src/planner/teardown.ts";
import type { Project } from "../../../src/spec/model.ts";
import { aContainer, aProject, upToDate } from "../../support/planner-fixtures.ts";

function downText(project: Project | undefined, parts: Partial<TeardownRequest>): string {
  return formatPlan(
    planTeardown({
      containers: [],
      networks: [],
      volumes: [],
      images: [],
      graph: teardownGraph(project, parts.containers ?? []),
      timeoutSeconds: undefined,
      project,
      anonymousVolumes: false,
      cause: "down",
      ...parts,
    }),
  );
}

const project = aProject({
  services: { db: {}, web: { depends_on: { db: { condition: "service_started", required: true } } } },
});

test("dependents stop before what they depend on, and networks go last", () => {
  const { containers, networks } = upToDate(project);
  expect(downText(project, { containers, networks })).toBe(
    [
      "#1 container app-web-1: stop (down)",
      "#2 container app-db-1: stop after #1 (down)",
      "#3 container app-db-1: remove after #2 (down)",
      "#4 container app-web-1: remove after #1 (down)",
      "#5 network app_default: remove after #3, #4 (down)",
    ].join("\n"),
  );
});

test("a container that does not run is only removed", () => {
  const containers = [aContainer({ name: "app-web-1", service: "web", state: "created" })];
  expect(downText(project, { containers })).toBe("#1 container app-web-1: remove (down)");
});

test("a service with nothing to stop still keeps the order of its neighbours", () => {
  const chain = aProject({
    services: {
      db: {},
      api: { depends_on: { db: { condition: "service_started", required: true } } },
      web: { depends_on: { api: { condition: "service_started", required: true } } },
    },
  });
  const containers = upToDate(chain).containers.filter(({ service }) => service !== "api");
  expect(downText(chain, { containers })).toContain("#2 container app-db-1: stop after #1 (down)");
});

test("without a model the labels of the containers tell the order", () => {
  const containers = [
    aContainer({ name: "app-db-1", service: "db" }),
    aContainer({
      name: "app-web-1",
      service: "web",
      dependsOn: [{ service: "db", condition: "service_started", restart: false }],
    }),
  ];
  expect(downText(undefined, { containers })).toContain("container app-db-1: stop after #1 (down)");
});

test("volumes and images wait until the containers are gone", () => {
  const containers = [aContainer({ name: "app-db-1", service: "db", state: "exited" })];
  const volumes = [{ name: "app_data", project: "app", key: "data", configHash: undefined }];
  expect(downText(project, { containers, volumes, images: ["app-db"] })).toBe(
    [
      "#1 container app-db-1: remove (down)",
      "#2 volume app_data: remove after #1 (down)",
      "#3 image app-db: remove after #1 (down)",
    ].join("\n"),
  );
});

test("pre_stop hooks run before the stop", () => {
  const hooked = aProject({ services: { db: { pre_stop: [{ command: ["dump"] }] } } });
  expect(downText(hooked, { containers: [aContainer({ name: "app-db-1", service: "db" })] })).toBe(
    [
      "#1 container app-db-1: run pre_stop[0] in (pre_stop of db)",
      "#2 container app-db-1: stop after #1 (down)",
      "#3 container app-db-1: remove after #2 (down)",
    ].join("\n"),
  );
});
