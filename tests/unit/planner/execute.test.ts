import { describe, expect, test } from "vitest";

import { TscomposeError } from "../../../src/errors.ts";
import type { ProgressEvent } from "../../../src/planner/events.ts";
import { executePlan, type ExecuteOptions, type PerformResult } from "../../../src/planner/execute.ts";
import { PlanBuilder, type Plan, type PlanNode } from "../../../src/planner/plan.ts";

/** A plan of volumes: name -> names it waits for, in order. */
function planOf(nodes: Readonly<Record<string, readonly string[]>>): Plan {
  const plan = new PlanBuilder();
  const ids = new Map<string, number>();
  for (const [name, after] of Object.entries(nodes)) {
    ids.set(
      name,
      plan.add(
        { kind: "create-volume", name, body: { Name: name }, cause: "test" },
        after.map((one) => ids.get(one)),
      ),
    );
  }
  return plan.build();
}

const nameOf = ({ operation }: PlanNode): string => (operation.kind === "create-volume" ? operation.name : "");

interface Ran {
  readonly order: readonly string[];
  readonly error: unknown;
  readonly events: readonly ProgressEvent[];
}

async function run(
  plan: Plan,
  body: (name: string) => Promise<PerformResult>,
  options: Partial<ExecuteOptions> = {},
): Promise<Ran> {
  const order: string[] = [];
  const events: ProgressEvent[] = [];
  const error = await executePlan(plan, {
    perform: async (node) => {
      order.push(nameOf(node));
      return await body(nameOf(node));
    },
    signal: new AbortController().signal,
    concurrency: Infinity,
    onFailure: "stop",
    onProgress: (event) => events.push(event),
    ...options,
  }).then(
    () => undefined,
    (failure: unknown) => failure,
  );
  return { order, error, events };
}

const ok = (): Promise<PerformResult> => Promise.resolve({});

describe("order", () => {
  test("a node runs after those it waits for", async () => {
    const { order } = await run(planOf({ a: [], b: ["a"], c: ["a", "b"] }), ok);
    expect(order).toEqual(["a", "b", "c"]);
  });

  test("nodes that wait for nothing run at the same time", async () => {
    let open = 0;
    let most = 0;
    await run(planOf({ a: [], b: [], c: [] }), async () => {
      most = Math.max(most, (open += 1));
      await new Promise((resolve) => setImmediate(resolve));
      open -= 1;
      return {};
    });
    expect(most).toBe(3);
  });

  test("no more run at once than allowed", async () => {
    let open = 0;
    let most = 0;
    const body = async (): Promise<PerformResult> => {
      most = Math.max(most, (open += 1));
      await new Promise((resolve) => setImmediate(resolve));
      open -= 1;
      return {};
    };
    const { order } = await run(planOf({ a: [], b: [], c: [], d: [] }), body, { concurrency: 2 });
    expect(most).toBe(2);
    expect(order).toEqual(["a", "b", "c", "d"]);
  });
});

describe("failure", () => {
  const fail = (name: string, ...failing: readonly string[]): Promise<PerformResult> =>
    failing.includes(name) ? Promise.reject(new TscomposeError("engine/failed", `${name} broke`)) : ok();

  test("what depends on a failed node never runs", async () => {
    const { order, error } = await run(planOf({ a: [], b: ["a"], c: ["b"] }), (name) => fail(name, "a"));
    expect(order).toEqual(["a"]);
    expect(error).toMatchObject({ message: "a broke" });
  });

  test("in setup nothing new begins after a failure, and what runs is let finish", async () => {
    let finished = false;
    const { order } = await run(planOf({ a: [], slow: [], later: ["slow"] }), async (name) => {
      if (name === "slow") {
        await new Promise((resolve) => setTimeout(resolve, 5));
        finished = true;
      }
      return await fail(name, "a");
    });
    expect(order).toEqual(["a", "slow"]);
    expect(finished).toBe(true);
  });

  test("in teardown everything else is still done, and every failure told", async () => {
    const { order, error } = await run(planOf({ a: [], b: [], c: ["b"], d: ["a"] }), (name) => fail(name, "a", "c"), {
      onFailure: "continue",
    });
    expect(order).toEqual(["a", "b", "c"]);
    expect(error).toMatchObject({ code: "compose/failed", message: "a broke\nc broke" });
  });

  test("is told where it happened", async () => {
    const { events } = await run(planOf({ a: [] }), (name) => fail(name, "a"));
    expect(events.at(-1)).toEqual({ kind: "Volume", name: "a", status: "error", text: "Error", details: "a broke" });
  });
});

describe("abort", () => {
  test("begins nothing new and says so", async () => {
    const controller = new AbortController();
    const { order, error } = await run(
      planOf({ a: [], b: ["a"] }),
      () => {
        controller.abort();
        return ok();
      },
      { signal: controller.signal },
    );
    expect(order).toEqual(["a"]);
    expect(error).toMatchObject({ code: "aborted" });
  });

  test("before the start runs nothing", async () => {
    const { order } = await run(planOf({ a: [] }), ok, { signal: AbortSignal.abort() });
    expect(order).toEqual([]);
  });
});

describe("what is told", () => {
  const texts = (events: readonly ProgressEvent[]): readonly string[] =>
    events.filter(({ status }) => status !== "pending").map(({ kind, name, text }) => `${kind} ${name} ${text}`);

  test("begins with an announcement of everything", async () => {
    const { events } = await run(planOf({ a: [], b: ["a"] }), ok);
    expect(events.slice(0, 2).map(({ name, status }) => `${name} ${status}`)).toEqual(["a pending", "b pending"]);
  });

  test("is each step and its end", async () => {
    const { events } = await run(planOf({ a: [] }), ok);
    expect(texts(events)).toEqual(["Volume a Creating", "Volume a Created"]);
  });

  test("the steps of a recreation are one", async () => {
    const plan = new PlanBuilder();
    const old = { kind: "existing", id: "1", name: "web-1" } as const;
    const stop = plan.add(
      { kind: "stop-container", service: "web", container: old, timeoutSeconds: undefined, cause: "" },
      [],
      "web-1",
    );
    plan.add(
      { kind: "remove-container", service: "web", container: old, force: true, volumes: false, cause: "" },
      [stop],
      "web-1",
    );
    const { events } = await run(plan.build(), ok);
    expect(texts(events)).toEqual(["Container web-1 Recreate", "Container web-1 Recreated"]);
  });

  test("a warning takes the place of the usual word", async () => {
    const { events } = await run(planOf({ a: [] }), () => Promise.resolve({ warning: "Resource is still in use" }));
    expect(events.at(-1)).toMatchObject({ status: "warning", text: "Resource is still in use" });
  });
});

test("a node can ask for the container that another made", async () => {
  const plan = planOf({ a: [], b: ["a"] });
  let seen = "";
  await executePlan(plan, {
    perform: (node, scope) => {
      if (nameOf(node) === "b") seen = scope.containerOf(1);
      return Promise.resolve(nameOf(node) === "a" ? { containerId: "c1" } : {});
    },
    signal: new AbortController().signal,
    concurrency: 1,
    onFailure: "stop",
    onProgress: () => undefined,
  });
  expect(seen).toBe("c1");
});
