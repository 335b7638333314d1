import { describe, expect, test } from "vitest";
import { selectContainers, summarise, type ListFacts } from "../../../../src/engine/containers/list.ts";
import type { Filters } from "../../../../src/engine/types.ts";
import { record, state } from "./fixtures.ts";

const facts: ListFacts = {
  nowNs: BigInt(Date.parse("2026-11-21T10:00:10Z")) * 1_000_000n,
  faultsOf: (id) => (id.startsWith("f") ? ["cut off"] : []),
  lookup: (ref) => ({ id: `id-of-${ref}`, name: ref, predefined: ref === "bridge" }),
  ancestors: (ref) => (ref === "base" ? ["sha256:base"] : []),
  createdOf: (ref) => (ref === "old" ? "2026-11-21T09:00:00Z" : "2026-11-21T11:00:00Z"),
};
const running = state({ status: "running", startedAt: "2026-11-21T10:00:05Z" });
const web = record({
  id: "a".repeat(64),
  name: "web",
  state: {
    ...running,
    sandbox: {
      containerId: "a".repeat(64),
      endpoints: [],
      ports: [{ containerPort: 80, protocol: "tcp", hostIp: "0.0.0.0", hostPort: 8080 }],
      hostsFile: "",
      resolvConf: "",
    },
  },
  config: { Labels: { app: "x", tier: "front" }, ExposedPorts: { "80/tcp": {}, "90/udp": {} } },
  endpoints: { front: {} },
});
const job = record({
  id: "b".repeat(64),
  name: "job",
  created: "2026-11-21T08:00:00Z",
  imageId: "sha256:base",
  state: state({ status: "exited", exitCode: 3, finishedAt: "2026-11-21T10:00:00Z" }),
  config: { Labels: { app: "x" } },
});
const names = (
  filters: Record<string, readonly string[]>,
  change: { all?: boolean; limit?: number } = {},
): readonly string[] =>
  selectContainers(
    [web, job],
    { all: change.all ?? true, limit: change.limit, size: false, filters: new Map(Object.entries(filters)) as Filters },
    facts,
  ).map(({ name }) => name);

describe("a list", () => {
  test("shows what runs; all, a limit, and filters by status show the rest too", () => {
    expect(names({}, { all: false })).toEqual(["web"]);
    expect(names({})).toEqual(["web", "job"]);
    expect(names({}, { all: false, limit: 2 })).toEqual(["web", "job"]);
    expect(names({ status: ["exited"] }, { all: false })).toEqual(["job"]);
    expect(names({ exited: ["3"] }, { all: false })).toEqual(["job"]);
  });
  test.each<[Record<string, readonly string[]>, readonly string[]]>([
    [{ name: ["we"] }, ["web"]],
    [{ name: ["^/web$"] }, ["web"]],
    [{ name: ["[("] }, []],
    [{ id: ["bbb"] }, ["job"]],
    [{ label: ["app=x", "tier"] }, ["web"]],
    [{ label: ["app=y"] }, []],
    [{ ancestor: ["base"] }, ["job"]],
    [{ ancestor: ["busybox"] }, ["web", "job"]],
    [{ network: ["front"] }, ["web"]],
    [{ network: ["id-of-front"] }, ["web"]],
    [{ publish: ["8000-9000"] }, ["web"]],
    [{ publish: ["8080/udp"] }, []],
    [{ expose: ["90/udp"] }, ["web"]],
    [{ since: ["old"] }, ["web"]],
    [{ before: ["old"] }, ["job"]],
    [{ health: ["none"] }, ["web", "job"]],
    [{ health: ["healthy"] }, []],
    [{ volume: ["none"] }, []],
    [{ name: ["web"], status: ["exited"] }, []],
  ])("filtered by %j has %j", (filters, expected) => {
    expect(names(filters)).toEqual(expected);
  });
  test("refuses filters that Docker does not know", () => {
    expect(() => names({ foo: ["bar"] })).toThrow("invalid filter 'foo'");
    expect(() => names({ status: ["sleepy"] })).toThrow("sleepy");
  });
});

test("a summary is what `ps` prints", () => {
  expect(summarise(web, facts)).toMatchObject({
    Names: ["/web"],
    Command: "sleep 1000",
    State: "running",
    Status: "Up 5 seconds",
    Ports: [
      { IP: "0.0.0.0", PrivatePort: 80, PublicPort: 8080, Type: "tcp" },
      { PrivatePort: 90, Type: "udp" },
    ],
    Created: Date.parse("2026-11-21T10:00:00Z") / 1000,
  });
});

test("what a container suffers on purpose stands behind its status", () => {
  const cut = record({ id: "f".repeat(64), name: "cut", state: running });
  expect(summarise(cut, facts).Status).toBe("Up 5 seconds (cut off)");
  expect(summarise(web, facts).Status).toBe("Up 5 seconds");
});
