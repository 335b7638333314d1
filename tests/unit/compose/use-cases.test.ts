/** The use cases over the real client and API, against an engine that lives in memory. */
import { afterEach, beforeEach, describe, expect, test } from "vitest";

import type { ComposeContext, ProjectReference } from "../../../src/compose/context.ts";
import { converge, type ConvergeOptions, planConverge } from "../../../src/compose/converge.ts";
import { down, type DownOptions } from "../../../src/compose/down.ts";
import { exec } from "../../../src/compose/exec.ts";
import { simple, stop } from "../../../src/compose/lifecycle.ts";
import { logs } from "../../../src/compose/logs.ts";
import { ls } from "../../../src/compose/ls.ts";
import { ps } from "../../../src/compose/ps.ts";
import type { ProgressEvent } from "../../../src/planner/events.ts";
import { defaultReconcileOptions } from "../../../src/planner/options.ts";
import { formatPlan } from "../../../src/planner/plan.ts";
import type { Project } from "../../../src/spec/model.ts";
import { type ApiFixture, startApi } from "../../support/api-fixture.ts";
import { aProject } from "../../support/planner-fixtures.ts";

let api: ApiFixture;
let events: ProgressEvent[];
let warnings: string[];
let locks: string[];

beforeEach(async () => {
  api = await startApi();
  [events, warnings, locks] = [[], [], []];
});
afterEach(() => api.close());

function context(): ComposeContext {
  return {
    docker: api.docker,
    engineReturns: false,
    signal: new AbortController().signal,
    concurrency: Infinity,
    onProgress: (event) => events.push(event),
    onWarning: (message) => warnings.push(message),
    lockProject: (project) => {
      locks.push(project);
      return Promise.resolve(() => locks.push(`${project} given up`));
    },
    confirm: () => Promise.resolve(false),
    credentials: () => Promise.resolve(undefined),
    proxyArguments: () => Promise.resolve({}),
    packContext: () => Promise.reject(new Error("nothing is built here")),
    localFolder: () => {
      throw new Error("nothing is built here");
    },
    newFolder: () => {
      throw new Error("nothing is built here");
    },
    packLayout: () => {
      throw new Error("nothing is built here");
    },
    sshAgents: () => Promise.reject(new Error("nothing is built here")),
    readSecrets: () => Promise.resolve({}),
  };
}

const options: ConvergeOptions = {
  reconcile: defaultReconcileOptions,
  pull: "policy",
  build: "never",
  layerProgress: false,
  assumeYes: false,
  waitTimeoutSeconds: undefined,
};
const downOptions: DownOptions = { services: [], orphans: "keep", volumes: false, images: "none", timeoutSeconds: 0 };

const project = aProject({
  services: {
    db: { command: ["serve"] },
    web: { command: ["serve"], depends_on: { db: { condition: "service_started", required: true } } },
  },
  volumes: { data: {} },
});
const reference: ProjectReference = { name: project.name, project };

const names = (): readonly string[] => [...api.engine.records.values()].map(({ name }) => name).toSorted();
const told = (): readonly string[] =>
  events.filter(({ status }) => status !== "pending").map(({ kind, name, text }) => `${kind} ${name} ${text}`);

describe("up", () => {
  test("makes and starts everything, under the lock of the project", async () => {
    await converge(context(), project, options);
    expect(names()).toEqual(["app-db-1", "app-web-1"]);
    expect([...api.engine.records.values()].map(({ status }) => status)).toEqual(["running", "running"]);
    expect(locks).toEqual(["app", "app given up"]);
    expect(told()).toContain("Container app-web-1 Started");
  });

  test("again changes nothing and takes no lock", async () => {
    await converge(context(), project, options);
    const ids = [...api.engine.records.keys()];
    [events, locks] = [[], []];
    const { plan } = await converge(context(), project, options);
    expect(formatPlan(plan)).toBe("");
    expect([...api.engine.records.keys()]).toEqual(ids);
    expect(locks).toEqual([]);
    expect(told()).toEqual(["Container app-db-1 Running", "Container app-web-1 Running"]);
  });

  test("recreates a changed service alone, and says why", async () => {
    await converge(context(), project, options);
    const [db] = [...api.engine.records.values()].filter(({ name }) => name === "app-db-1");
    const changed: Project = {
      ...project,
      services: {
        ...project.services,
        web: { ...project.services["web"], command: ["serve", "more"], entrypoint: null },
      },
    };
    const { reconciled } = await planConverge(context(), changed, options);
    expect(formatPlan(reconciled.plan)).toContain("(command: [serve] -> [serve, more])");
    await converge(context(), changed, options);
    expect(names()).toEqual(["app-db-1", "app-web-1"]);
    expect([...api.engine.records.keys()]).toContain(db?.id);
  });

  test("adopts a container that an earlier run had asked for and that turned up later", async () => {
    await converge(context(), project, { ...options, reconcile: { ...defaultReconcileOptions, start: false } });
    const listed = api.docker.listContainers;
    let hidden = true;
    Object.assign(api.docker, {
      listContainers: async (query: Parameters<typeof listed>[0]) => (hidden ? [] : await listed(query as never)),
    });
    await converge(context(), project, options);
    hidden = false;
    expect(names()).toEqual(["app-db-1", "app-web-1"]);
  });

  test("refuses an image that is missing and must not be pulled, before anything is made", async () => {
    const missing = aProject({ services: { web: { image: "nope", pull_policy: "never" } } });
    await expect(converge(context(), missing, options)).rejects.toThrow("image nope");
    expect(names()).toEqual([]);
    expect(await api.docker.listNetworks()).toEqual([]);
  });
});

describe("down", () => {
  test("leaves nothing but volumes", async () => {
    await converge(context(), project, options);
    await down(context(), reference, downOptions);
    expect(names()).toEqual([]);
    expect(await api.docker.listNetworks()).toEqual([]);
    expect((await api.docker.listVolumes()).Volumes).toHaveLength(1);
  });

  test("with volumes leaves nothing", async () => {
    await converge(context(), project, options);
    await down(context(), reference, { ...downOptions, volumes: true });
    expect((await api.docker.listVolumes()).Volumes).toEqual([]);
  });

  test("finds by label what a killed up has left, without a model too", async () => {
    await converge(context(), project, { ...options, reconcile: { ...defaultReconcileOptions, start: false } });
    await down(context(), { name: "app", project: undefined }, { ...downOptions, volumes: true });
    expect(names()).toEqual([]);
    expect(await api.docker.listNetworks()).toEqual([]);
  });

  test("of nothing does nothing", async () => {
    expect(await down(context(), reference, downOptions)).toBe(0);
  });

  test("of one service leaves the others", async () => {
    await converge(context(), project, options);
    await down(context(), reference, { ...downOptions, services: ["web"] });
    expect(names()).toEqual(["app-db-1"]);
  });

  test("of an unknown service names those there are", async () => {
    await expect(down(context(), reference, { ...downOptions, services: ["nope"] })).rejects.toMatchObject({
      message: "no such service: nope",
      hint: "services: db, web",
    });
  });
});

describe("the others", () => {
  beforeEach(() => converge(context(), project, options));

  test("ps lists by name, and only what runs unless asked", async () => {
    await stop(context(), reference, { services: ["db"], timeoutSeconds: 0 });
    const query = { services: [], all: false, orphans: true, status: [] };
    expect((await ps(context(), reference, query)).map(({ name }) => name)).toEqual(["app-web-1"]);
    expect(
      (await ps(context(), reference, { ...query, all: true })).map(({ name, state }) => `${name} ${state}`),
    ).toEqual(["app-db-1 exited", "app-web-1 running"]);
  });

  test("stop goes from dependents to dependencies", async () => {
    events = [];
    await stop(context(), reference, { services: [], timeoutSeconds: 0 });
    expect(told().filter((line) => line.endsWith("Stopped"))).toEqual([
      "Container app-web-1 Stopped",
      "Container app-db-1 Stopped",
    ]);
  });

  test("kill counts what it hit", async () => {
    expect(await simple(context(), reference, { verb: "kill", services: ["web"] })).toBe(1);
    expect(await simple(context(), reference, { verb: "kill", services: ["web"] })).toBe(0);
  });

  test("ls counts containers by state", async () => {
    await stop(context(), reference, { services: ["db"], timeoutSeconds: 0 });
    expect(await ls(context(), { all: true })).toEqual([
      { name: "app", status: "exited(1), running(1)", configFiles: "/srv/app/compose.yaml" },
    ]);
  });

  test("exec gives the exit code of the command", async () => {
    const session = await exec(context(), reference, {
      service: "web",
      command: ["fail", "4"],
      index: 0,
      environment: [],
      user: undefined,
      workdir: undefined,
      privileged: false,
      tty: false,
      interactive: false,
      detach: false,
      size: undefined,
    });
    session?.stream.resume();
    session?.stream.end();
    await new Promise((resolve) => session?.stream.once("end", resolve));
    expect(await session?.exitCode()).toBe(4);
  });

  test("logs name the container without its project", async () => {
    const talking = aProject({ services: { one: { command: ["echo", "hello there"] } } });
    await converge(context(), { ...talking, name: "talk" }, options);
    const lines: string[] = [];
    const query = {
      services: [],
      index: 0,
      follow: false,
      timestamps: false,
      tail: "all",
      since: undefined,
      until: undefined,
    } as const;
    for await (const event of logs(context(), { name: "talk", project: undefined }, query)) {
      if (event.kind === "line") lines.push(`${event.name} | ${event.text}`);
    }
    expect(lines).toEqual(["one-1 | hello there"]);
  });
});
