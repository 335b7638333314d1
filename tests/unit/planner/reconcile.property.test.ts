import fc from "fast-check";
import { expect, test } from "vitest";

import { defaultReconcileOptions } from "../../../src/planner/options.ts";
import type { ObservedState } from "../../../src/planner/observed.ts";
import { formatPlan } from "../../../src/planner/plan.ts";
import { reconcile } from "../../../src/planner/reconcile.ts";
import type { DependencyCondition, Project, Service } from "../../../src/spec/model.ts";
import { aProject, imagesOf, nothing } from "../../support/planner-fixtures.ts";
import { simulate } from "../../support/simulated-engine.ts";

// More for a soak: FAST_CHECK_RUNS=10000.
fc.configureGlobal({ numRuns: Number(process.env["FAST_CHECK_RUNS"] ?? 100) });

const names = ["a", "b", "c", "d", "e"];
const conditions: readonly DependencyCondition[] = ["service_started", "service_healthy"];

/** Services that depend only on earlier ones, so that there is no cycle. */
const projects: fc.Arbitrary<Project> = fc
  .tuple(
    ...names.map((_, index) =>
      fc.record({
        present: fc.boolean(),
        scale: fc.integer({ min: 0, max: 3 }),
        level: fc.constantFrom("info", "debug"),
        dependencies: fc.subarray(names.slice(0, index)),
        condition: fc.constantFrom(...conditions),
        restart: fc.boolean(),
        shares: fc.boolean(),
        volume: fc.boolean(),
        network: fc.constantFrom("default", "back"),
      }),
    ),
  )
  .map((parts) => {
    const services: Record<string, Partial<Service>> = {};
    parts.forEach((part, index) => {
      const name = names[index];
      if (name === undefined || !part.present) return;
      const known = part.dependencies.filter((other) => Object.hasOwn(services, other));
      const parent = part.shares ? known.find((other) => services[other]?.scale !== 0) : undefined;
      services[name] = {
        scale: part.scale,
        environment: { LEVEL: part.level },
        depends_on: Object.fromEntries(
          known.map((other) => [other, { condition: part.condition, required: true, restart: part.restart }]),
        ),
        ...(parent === undefined ? { networks: { [part.network]: null } } : { network_mode: `service:${parent}` }),
        ...(part.volume ? { volumes: [{ type: "volume", source: "data", target: "/data" }] } : {}),
      };
    });
    return aProject({ services, networks: { default: {}, back: { internal: true } }, volumes: { data: {} } });
  });

const start = (project: Project): ObservedState => ({ ...nothing, images: imagesOf(project) });
const options = { ...defaultReconcileOptions, orphans: "remove" } as const;

test("a node only waits for nodes that were planned before it", () => {
  fc.assert(
    fc.property(projects, projects, (before, after) => {
      const observed = simulate(before, start(before), reconcile(before, start(before), options).plan);
      for (const { id, after: waits } of reconcile(after, { ...observed, images: imagesOf(after) }, options).plan
        .nodes) {
        expect(waits.every((other) => other < id)).toBe(true);
      }
    }),
  );
});

test("after a plan was carried out there is nothing left to do", () => {
  fc.assert(
    fc.property(projects, (project) => {
      const observed = simulate(project, start(project), reconcile(project, start(project), options).plan);
      expect(formatPlan(reconcile(project, observed, options).plan)).toBe("");
    }),
  );
});

test("from any project to any other one plan is enough", () => {
  fc.assert(
    fc.property(projects, projects, (before, after) => {
      const first = simulate(before, start(before), reconcile(before, start(before), options).plan);
      const observed = { ...first, images: imagesOf(after) };
      const second = simulate(after, observed, reconcile(after, observed, options).plan);
      expect(formatPlan(reconcile(after, second, options).plan)).toBe("");
    }),
  );
});

test("a plan cut short at any point is finished by the next", () => {
  fc.assert(
    fc.property(projects, projects, fc.nat(60), (before, after, done) => {
      const first = simulate(before, start(before), reconcile(before, start(before), options).plan);
      const observed = { ...first, images: imagesOf(after) };
      const whole = reconcile(after, observed, options).plan;
      const half = simulate(after, observed, { nodes: whole.nodes.slice(0, done) });
      let state = half;
      // The one after the next may have to number a replica anew.
      for (let round = 0; round < 2; round += 1) state = simulate(after, state, reconcile(after, state, options).plan);
      expect(formatPlan(reconcile(after, state, options).plan)).toBe("");
    }),
  );
});
