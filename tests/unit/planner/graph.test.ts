import fc from "fast-check";
import { expect, test } from "vitest";

import { closure, createGraph } from "../../../src/planner/graph.ts";
import { parseDependencies, formatDependencies } from "../../../src/planner/labels.ts";
import { resolveReferences } from "../../../src/planner/resolve-references.ts";
import { observedContainer } from "../../../src/planner/observed.ts";
import { aService } from "../../support/planner-fixtures.ts";

const graph = createGraph(
  new Map([
    ["web", ["api"]],
    ["api", ["db", "cache"]],
    ["db", []],
    ["cache", ["gone"]],
  ]),
);

test("dependencies come before dependents, ties by name", () => {
  expect(graph.order).toEqual(["cache", "db", "api", "web"]);
});

test("edges to what is not there are dropped", () => {
  expect(graph.dependenciesOf("cache")).toEqual([]);
});

test("dependents are known", () => {
  expect(graph.dependentsOf("db")).toEqual(["api"]);
});

test("the closure is all that can be reached", () => {
  expect([...closure(["api"], (name) => graph.dependenciesOf(name))].toSorted()).toEqual(["api", "cache", "db"]);
});

test("a graph of a thousand in a row does not overflow the stack", () => {
  const edges = new Map(
    Array.from({ length: 1000 }, (_, index) => [`s${index}`, index === 0 ? [] : [`s${index - 1}`]]),
  );
  expect(createGraph(edges).order).toHaveLength(1000);
});

test("the depends_on label reads back as it was written", () => {
  const name = fc.stringMatching(/^[a-z][a-z0-9_.-]{0,8}$/);
  const condition = fc.constantFrom("service_started", "service_healthy", "service_completed_successfully");
  fc.assert(
    fc.property(
      fc.dictionary(name, fc.record({ condition, restart: fc.boolean() }), { maxKeys: 5 }),
      (dependencies) => {
        const read = parseDependencies(formatDependencies(dependencies));
        expect(Object.fromEntries(read.map(({ service, ...rest }) => [service, rest]))).toEqual({ ...dependencies });
      },
    ),
  );
});

test("references to services become ids, and keep their place among the keys", () => {
  const service = aService({
    network_mode: "service:db",
    volumes_from: ["db:ro", "container:other"],
    working_dir: "/",
  });
  const resolved = resolveReferences(service, (name) => (name === "db" ? "id1" : undefined));
  expect(resolved).toEqual({ ...service, network_mode: "container:id1", volumes_from: ["id1", "other"] });
  expect(Object.keys(resolved)).toEqual(Object.keys(service));
});

test.each([
  ["Up 2 seconds (healthy)", "healthy", undefined],
  ["Up 2 seconds (health: starting)", "starting", undefined],
  ["Up 5 minutes (unhealthy)", "unhealthy", undefined],
  ["Up 5 minutes", "none", undefined],
  ["Exited (137) 2 minutes ago", "none", 137],
])("an engine's status %s is read", (Status, health, exitCode) => {
  const summary = {
    Id: "1",
    Names: ["/app-db-1"],
    Labels: {},
    State: "running",
    Status,
    Image: "busybox",
    HostConfig: { NetworkMode: "x" },
    NetworkSettings: { Networks: {} },
    Mounts: [],
  };
  expect(observedContainer(summary as unknown as Parameters<typeof observedContainer>[0])).toMatchObject({
    name: "app-db-1",
    health,
    exitCode,
  });
});
