import { describe, expect, test } from "vitest";

import { defaultReconcileOptions, type ReconcileOptions } from "../../../src/planner/options.ts";
import type { ObservedState } from "../../../src/planner/observed.ts";
import { formatPlan } from "../../../src/planner/plan.ts";
import { reconcile } from "../../../src/planner/reconcile.ts";
import type { Project } from "../../../src/spec/model.ts";
import {
  aContainer,
  anImage,
  aProject,
  fakeId,
  imagesOf,
  nothing,
  upToDate,
  withContainer,
} from "../../support/planner-fixtures.ts";

function planText(project: Project, observed: ObservedState, options: Partial<ReconcileOptions> = {}): string {
  return formatPlan(reconcile(project, observed, { ...defaultReconcileOptions, ...options }).plan);
}

const fresh = (project: Project): ObservedState => ({ ...nothing, images: imagesOf(project) });

describe("hooks", () => {
  test("run one after the other once the container has started, and a dependent starts after them", () => {
    const post_start = [{ command: ["one"] }, { command: ["two"] }];
    const project = aProject({
      services: { db: { post_start }, web: { depends_on: { db: { condition: "service_started", required: true } } } },
    });
    const text = planText(project, fresh(project)).split("\n");
    expect(text.filter((line) => /start|post_start/.test(line))).toEqual([
      "#4 container app-db-1: start after #2 (created)",
      "#5 container app-db-1: run post_start[0] in after #4 (post_start of db)",
      "#6 container app-db-1: run post_start[1] in after #5 (post_start of db)",
      "#7 container app-web-1: start after #3, #6 (created)",
    ]);
  });
});

describe("creating", () => {
  test("a service gets its network, then a container, which is started", () => {
    const project = aProject({ services: { web: {} } });
    expect(planText(project, fresh(project))).toBe(
      [
        "#1 network app_default: create (does not exist)",
        "#2 container app-web-1: create after #1 (does not exist)",
        "#3 container app-web-1: start after #2 (created)",
      ].join("\n"),
    );
  });

  test("a dependent starts after what it depends on, and is created meanwhile", () => {
    const project = aProject({
      services: { db: {}, web: { depends_on: { db: { condition: "service_started", required: true } } } },
    });
    expect(planText(project, fresh(project))).toBe(
      [
        "#1 network app_default: create (does not exist)",
        "#2 container app-db-1: create after #1 (does not exist)",
        "#3 container app-web-1: create after #1 (does not exist)",
        "#4 container app-db-1: start after #2 (created)",
        "#5 container app-web-1: start after #3, #4 (created)",
      ].join("\n"),
    );
  });

  test("a dependent on a healthy service waits for its health", () => {
    const project = aProject({
      services: { db: {}, web: { depends_on: { db: { condition: "service_healthy", required: true } } } },
    });
    expect(planText(project, fresh(project))).toContain(
      [
        "#5 service db: wait until healthy after #4 (web depends on it)",
        "#6 container app-web-1: start after #3, #5 (created)",
      ].join("\n"),
    );
  });

  test("two dependents share one wait", () => {
    const depends_on = { db: { condition: "service_healthy", required: true } } as const;
    const project = aProject({ services: { db: {}, a: { depends_on }, b: { depends_on } } });
    expect(planText(project, fresh(project)).match(/wait until healthy/g)).toHaveLength(1);
  });

  test("a container that shares another's network is created after that one", () => {
    const project = aProject({ services: { db: {}, side: { network_mode: "service:db" } } });
    expect(planText(project, fresh(project))).toContain("#3 container app-side-1: create after #2 (does not exist)");
  });

  test("without start nothing is started", () => {
    const project = aProject({ services: { web: {} } });
    expect(planText(project, fresh(project), { start: false })).not.toContain("start");
  });

  test("--wait waits for every service at the end", () => {
    const project = aProject({ services: { web: {} } });
    expect(planText(project, fresh(project), { wait: true })).toContain(
      "#4 service web: wait until running or healthy after #3 (--wait)",
    );
  });

  test("a volume is there before the container that mounts it", () => {
    const project = aProject({
      services: { db: { volumes: [{ type: "volume", source: "data", target: "/data" }] } },
      volumes: { data: {} },
    });
    expect(planText(project, fresh(project))).toContain("#3 container app-db-1: create after #1, #2 (does not exist)");
  });

  test("an external network that is missing is refused by name", () => {
    const project = aProject({ services: { web: {} }, networks: { default: { name: "shared", external: true } } });
    expect(() => planText(project, fresh(project))).toThrow(
      "network shared declared as external, but could not be found",
    );
  });

  test("an external volume that is missing is refused by name", () => {
    const project = aProject({ services: { web: {} }, volumes: { data: { name: "old", external: true } } });
    expect(() => planText(project, fresh(project))).toThrow('external volume "old" not found');
  });

  test("two replicas of a service with a container name are refused", () => {
    const project = aProject({ services: { web: { container_name: "only", scale: 2 } } });
    expect(() => planText(project, fresh(project))).toThrow(
      'service "web" cannot have 2 replicas: container_name is set',
    );
  });
});

describe("a project at rest", () => {
  const project = aProject({
    services: {
      db: { volumes: [{ type: "volume", source: "data", target: "/data" }] },
      side: { network_mode: "service:db", depends_on: { db: { condition: "service_healthy", required: true } } },
      web: { scale: 3, depends_on: { db: { condition: "service_started", required: true } } },
    },
    volumes: { data: {} },
  });
  const state = withContainer(upToDate(project), "app-db-1", { health: "healthy" });

  test("needs nothing", () => {
    expect(planText(project, state)).toBe("");
  });

  test("tells which containers are left alone", () => {
    expect(reconcile(project, state, defaultReconcileOptions).kept).toEqual([
      "app-db-1",
      "app-side-1",
      "app-web-1",
      "app-web-2",
      "app-web-3",
    ]);
  });

  test("waits for a dependency that is not healthy yet", () => {
    const starting = withContainer(state, "app-db-1", { health: "starting" });
    expect(planText(project, starting)).toBe("#1 service db: wait until healthy (side depends on it)");
  });

  test("starts a container that has ended", () => {
    const ended = withContainer(state, "app-web-2", { state: "exited", exitCode: 1 });
    expect(planText(project, ended)).toBe("#1 container app-web-2: start (it is exited)");
  });

  test("replaces a container that somebody removed, with a new number", () => {
    expect(planText(project, withContainer(state, "app-web-2", undefined))).toBe(
      ["#1 container app-web-4: create (does not exist)", "#2 container app-web-4: start after #1 (created)"].join(
        "\n",
      ),
    );
  });
});

describe("recreating", () => {
  const project = aProject({ services: { db: {}, web: { scale: 1 } } });

  test("the new container is made before the old one goes, and takes its name over", () => {
    const state = withContainer(upToDate(project), "app-web-1", { configHash: "old" });
    const id = fakeId("web1").slice(0, 12);
    expect(planText(project, state)).toBe(
      [
        `#1 container ${id}_app-web-1: create (configuration changed) [recreate app-web-1]`,
        "#2 container app-web-1: stop after #1 (replaced by #1) [recreate app-web-1]",
        "#3 container app-web-1: remove after #1, #2 (replaced by #1) [recreate app-web-1]",
        "#4 container app-web-1: rename to app-web-1 after #3 (replaced by #1) [recreate app-web-1]",
        "#5 container app-web-1: start after #4 (created)",
      ].join("\n"),
    );
  });

  test("a changed service is recreated alone", () => {
    const state = withContainer(upToDate(project), "app-web-1", { configHash: "old" });
    expect(planText(project, state)).not.toContain("app-db-1");
  });

  test("an image that changed is a cause", () => {
    const state = { ...upToDate(project), images: new Map([["busybox", anImage("busybox", { digest: "sha256:2" })]]) };
    expect(planText(project, state)).toContain("create (image busybox changed)");
  });

  test("what shares the network of a recreated container is recreated too", () => {
    const shared = aProject({ services: { db: {}, side: { network_mode: "service:db" } } });
    const state = withContainer(upToDate(shared), "app-db-1", { configHash: "old" });
    expect(planText(shared, state)).toContain("create after #4 (db is recreated) [recreate app-side-1]");
  });

  test("--force-recreate recreates the named services and leaves their dependencies", () => {
    const linked = aProject({
      services: { db: {}, web: { depends_on: { db: { condition: "service_started", required: true } } } },
    });
    const text = planText(linked, upToDate(linked), { recreate: "always", services: ["web"] });
    expect(text).toContain("(forced) [recreate app-web-1]");
    expect(text).not.toContain("app-db-1");
  });

  test("--no-recreate keeps what diverges", () => {
    const state = withContainer(upToDate(project), "app-web-1", { configHash: "old" });
    expect(planText(project, state, { recreate: "never" })).toBe("");
  });

  test("dependents that ask for it are stopped before and started after", () => {
    const linked = aProject({
      services: {
        db: {},
        web: { depends_on: { db: { condition: "service_started", required: true, restart: true } } },
      },
    });
    const state = withContainer(upToDate(linked), "app-db-1", { configHash: "old" });
    const text = planText(linked, state);
    expect(text).toContain("#2 container app-web-1: stop (db is recreated)");
    expect(text).toContain("container app-db-1: stop after #1, #2 (replaced by #1)");
    expect(text).toContain("container app-web-1: start after #2, #6 (stopped by this plan)");
  });

  test("a recreation that was cut short before the old container went is finished", () => {
    const state = upToDate(project);
    const old = state.containers.find(({ name }) => name === "app-web-1");
    const name = `${old?.id.slice(0, 12) ?? ""}_app-web-1`;
    const half = {
      ...state,
      containers: [
        ...state.containers.map((one) => (one.name === "app-web-1" ? { ...one, configHash: "old" } : one)),
        aContainer({ ...old, id: fakeId("replacement"), name, service: "web", state: "created" }),
      ],
    };
    expect(planText(project, half)).toBe(
      [
        "#1 container app-web-1: stop (scale down)",
        "#2 container app-web-1: remove after #1 (scale down)",
        `#3 container ${name}: rename to app-web-1 after #2 (a recreation was interrupted)`,
        "#4 container app-web-1: start after #3 (never started)",
      ].join("\n"),
    );
  });
});

describe("scaling", () => {
  const project = aProject({ services: { web: { scale: 2 } } });

  test("up adds numbers above the highest", () => {
    const wider = aProject({ services: { web: { scale: 3 } } });
    expect(planText(wider, upToDate(project))).toContain("#1 container app-web-3: create (does not exist)");
  });

  test("down takes the highest numbers", () => {
    const narrower = aProject({ services: { web: { scale: 1 } } });
    expect(planText(narrower, upToDate(project))).toBe(
      ["#1 container app-web-2: stop (scale down)", "#2 container app-web-2: remove after #1 (scale down)"].join("\n"),
    );
  });

  test("down takes obsolete containers before high numbers", () => {
    const narrower = aProject({ services: { web: { scale: 1 } } });
    const state = withContainer(upToDate(project), "app-web-1", { configHash: "old" });
    expect(planText(narrower, state)).toBe(
      ["#1 container app-web-1: stop (scale down)", "#2 container app-web-1: remove after #1 (scale down)"].join("\n"),
    );
  });

  test("to none removes all", () => {
    const none = aProject({ services: { web: { scale: 0 } } });
    expect(planText(none, upToDate(project)).match(/remove/g)).toHaveLength(2);
  });
});

describe("orphans", () => {
  const project = aProject({ services: { web: {} } });
  const state = {
    ...upToDate(project),
    containers: [...upToDate(project).containers, aContainer({ name: "app-gone-1", service: "gone" })],
  };

  test("are warned about and left", () => {
    const { plan, warnings } = reconcile(project, state, defaultReconcileOptions);
    expect(formatPlan(plan)).toBe("");
    expect(warnings).toEqual([expect.stringContaining("found orphan containers (app-gone-1)")]);
  });

  test("are removed when asked", () => {
    expect(planText(project, state, { orphans: "remove" })).toBe(
      ["#1 container app-gone-1: stop (orphan)", "#2 container app-gone-1: remove after #1 (orphan)"].join("\n"),
    );
  });

  test("are not the containers of a service that is switched off", () => {
    const off = aProject({ services: { web: {} }, disabledServices: { gone: {} } });
    expect(planText(off, state, { orphans: "remove" })).toBe("");
  });
});

describe("a definition that changed", () => {
  test("of a network: its containers leave it, it is replaced, they return and run again", () => {
    const before = aProject({ services: { web: {} } });
    const after = aProject({ services: { web: {} }, networks: { default: { internal: true } } });
    expect(planText(after, upToDate(before))).toBe(
      [
        "#1 container app-web-1: stop (definition of network default changed)",
        "#2 container app-web-1: disconnect from app_default after #1 (definition of network default changed)",
        "#3 network app_default: remove after #2 (definition of network default changed)",
        "#4 network app_default: create after #3 (definition of network default changed)",
        "#5 container app-web-1: connect to app_default after #4 (definition of network default changed)",
        "#6 container app-web-1: start after #1, #5 (stopped by this plan)",
      ].join("\n"),
    );
  });

  test("of a network: what shares the namespace of its containers is started again too, after them", () => {
    const depends_on = { web: { condition: "service_started", required: true } } as const;
    const services = { web: {}, side: { network_mode: "service:web", depends_on } };
    const before = aProject({ services });
    const after = aProject({ services, networks: { default: { internal: true } } });
    const text = planText(after, upToDate(before));
    expect(text).toContain("#3 container app-side-1: stop (definition of network default changed)");
    expect(text).toContain("#8 container app-side-1: start after #3, #7 (stopped by this plan)");
  });

  const mounting = { web: { volumes: [{ type: "volume", source: "data", target: "/data" }] } };
  const before = aProject({ services: mounting, volumes: { data: {} } });
  const after = aProject({ services: mounting, volumes: { data: { driver_opts: { type: "nfs" } } } });

  test("of a volume: it is kept until the user agrees to lose its data", () => {
    const { plan, confirmations } = reconcile(after, upToDate(before), defaultReconcileOptions);
    expect(formatPlan(plan)).toBe("");
    expect(confirmations).toEqual([{ key: "data", name: "app_data" }]);
  });

  test("of a volume, agreed: its containers go, then it, then both come back", () => {
    expect(planText(after, upToDate(before), { replaceVolumes: new Set(["data"]) })).toBe(
      [
        "#1 container app-web-1: stop (definition of volume data changed)",
        "#2 container app-web-1: remove after #1 (definition of volume data changed)",
        "#3 volume app_data: remove after #2 (definition of volume data changed)",
        "#4 volume app_data: create after #3 (definition of volume data changed)",
        "#5 container app-web-1: create after #2, #4 (a volume of it is replaced)",
        "#6 container app-web-1: start after #5 (created)",
      ].join("\n"),
    );
  });

  test("a renamed volume keeps the old one", () => {
    const renamed = aProject({ services: mounting, volumes: { data: { name: "other" } } });
    const text = planText(renamed, upToDate(before));
    expect(text).toContain("#1 volume other: create (renamed; app_data is kept)");
    expect(text).not.toContain("remove app_data");
  });

  test("a network that a VPN has come to overlap is kept, with a warning that names the route", () => {
    const project = aProject({ services: { web: {} } });
    const state = upToDate(project);
    const networks = state.networks.map((network) => ({ ...network, overlaps: ["10.8.0.0/16"] }));
    const { plan, warnings } = reconcile(project, { ...state, networks }, defaultReconcileOptions);
    expect(plan.nodes).toEqual([]);
    expect(warnings).toEqual([expect.stringMatching(/network app_default .*10\.8\.0\.0\/16.*`down` and `up`/)]);
  });

  test("a network of somebody else is used as it is, with a warning", () => {
    const project = aProject({ services: { web: {} } });
    const foreign = {
      id: "f".repeat(64),
      name: "app_default",
      project: undefined,
      key: undefined,
      configHash: undefined,
      overlaps: [],
    };
    const { plan, warnings } = reconcile(project, { ...fresh(project), networks: [foreign] }, defaultReconcileOptions);
    expect(formatPlan(plan)).not.toContain("network");
    expect(warnings).toEqual([expect.stringContaining("network app_default exists but was not created by compose")]);
  });
});
