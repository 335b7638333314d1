import { describe, expect, test } from "vitest";
import { EventBus } from "../../../../src/engine/events.ts";
import type { EventMessage } from "../../../../src/engine/types.ts";

const second = 1_000_000_000n;

function busAt(start: bigint) {
  let now = start;
  const bus = new EventBus(() => now);
  return { bus, advance: (ns: bigint) => (now += ns) };
}

function container(action: "start" | "die", name: string, labels: Record<string, string> = {}) {
  return {
    type: "container" as const,
    action,
    id: `${name}-id`,
    attributes: { image: "busybox:1", name, ...labels },
  };
}

async function messagesOf(events: AsyncIterable<EventMessage>): Promise<EventMessage[]> {
  const messages: EventMessage[] = [];
  for await (const message of events) messages.push(message);
  return messages;
}

async function collect(events: AsyncIterable<EventMessage>): Promise<string[]> {
  return (await messagesOf(events)).map(({ Type, Action, Actor }) => `${Type} ${Action} ${Actor.ID}`);
}

/** What the ring holds for these filters. */
async function replay(bus: EventBus, filters: Record<string, string[]>): Promise<string[]> {
  const options = { sinceNs: 0n, untilNs: 0n, filters: new Map(Object.entries(filters)) };
  return collect(bus.subscribe({ ...options, untilNs: 10n ** 19n }, AbortSignal.abort()));
}

describe("event bus", () => {
  test("a container event has Docker's shape, with the legacy fields", async () => {
    const { bus } = busAt(1795218230_836167502n);
    bus.publish(container("start", "web", { tier: "front" }));
    const [message] = await messagesOf(
      bus.subscribe({ sinceNs: 0n, untilNs: 1n << 62n, filters: new Map() }, AbortSignal.abort()),
    );
    expect(message).toEqual({
      status: "start",
      id: "web-id",
      from: "busybox:1",
      Type: "container",
      Action: "start",
      Actor: { ID: "web-id", Attributes: { image: "busybox:1", name: "web", tier: "front" } },
      scope: "local",
      time: 1795218230,
      timeNano: "1795218230836167502",
    });
  });

  test("network and volume events have no legacy fields", async () => {
    const { bus } = busAt(second);
    bus.publish({ type: "volume", action: "create", id: "v", attributes: { driver: "local" } });
    const [message] = await messagesOf(
      bus.subscribe({ sinceNs: 0n, untilNs: 9n * second, filters: new Map() }, AbortSignal.abort()),
    );
    expect(Object.keys(message ?? {})).toEqual(["Type", "Action", "Actor", "scope", "time", "timeNano"]);
  });

  test("the last 256 events can be replayed, older ones are gone", async () => {
    const { bus, advance } = busAt(second);
    for (let i = 0; i < 300; i++) {
      bus.publish(container("start", `c${i}`));
      advance(1n);
    }
    const seen = await replay(bus, {});
    expect(seen).toHaveLength(256);
    expect(seen[0]).toBe("container start c44-id");
  });

  test("times grow strictly even when the clock is set back", async () => {
    const { bus, advance } = busAt(100n * second);
    bus.publish(container("start", "a"));
    advance(-50n * second);
    bus.publish(container("die", "a"));
    const messages = await messagesOf(
      bus.subscribe({ sinceNs: 0n, untilNs: 1n << 62n, filters: new Map() }, AbortSignal.abort()),
    );
    expect(messages.map(({ timeNano }) => timeNano)).toEqual(["100000000000", "100000000001"]);
  });

  test("since is inclusive and until bounds the replay", async () => {
    const { bus, advance } = busAt(second);
    for (const name of ["a", "b", "c"]) {
      bus.publish(container("start", name));
      advance(second);
    }
    const window = { sinceNs: 2n * second, untilNs: 2n * second, filters: new Map() };
    expect(await collect(bus.subscribe(window, new AbortController().signal))).toEqual(["container start b-id"]);
  });

  test("a live subscriber gets only what comes later and ends when it is aborted", async () => {
    const { bus } = busAt(second);
    bus.publish(container("start", "before"));
    const stop = new AbortController();
    const seen = collect(bus.subscribe({ sinceNs: undefined, untilNs: undefined, filters: new Map() }, stop.signal));
    bus.publish(container("start", "after"));
    stop.abort();
    expect(await seen).toEqual(["container start after-id"]);
    expect(bus.listeners).toBe(0);
  });

  test("a subscriber that never reads is cut off with an error instead of filling memory", async () => {
    const { bus } = busAt(second);
    const events = bus.subscribe(
      { sinceNs: undefined, untilNs: undefined, filters: new Map() },
      new AbortController().signal,
    );
    for (let i = 0; i < 20_000; i++) bus.publish(container("start", "a"));
    await expect(collect(events)).rejects.toThrow("fell too far behind");
    expect(bus.listeners).toBe(0);
  });
});

describe("event filters", () => {
  const { bus } = busAt(second);
  bus.publish(container("start", "web", { tier: "front", zone: "a" }));
  bus.publish({
    type: "container",
    action: "health_status: healthy",
    id: "db-id",
    attributes: { image: "pg:16", name: "db" },
  });
  bus.publish({
    type: "network",
    action: "connect",
    id: "net-id",
    attributes: { name: "default", container: "web-id" },
  });
  bus.publish({ type: "image", action: "pull", id: "busybox:1", attributes: { name: "busybox:1" } });

  test.each<[string, Record<string, string[]>, string[]]>([
    ["type", { type: ["image", "network"] }, ["network connect net-id", "image pull busybox:1"]],
    ["event", { event: ["start"] }, ["container start web-id"]],
    ["an event by its prefix", { event: ["health_status"] }, ["container health_status: healthy db-id"]],
    ["an event in full", { event: ["health_status: healthy"] }, ["container health_status: healthy db-id"]],
    ["container name", { container: ["web"] }, ["container start web-id"]],
    ["container id prefix", { container: ["db-"] }, ["container health_status: healthy db-id"]],
    ["image without tag", { image: ["busybox"] }, ["container start web-id", "image pull busybox:1"]],
    ["all labels", { label: ["tier=front", "zone"] }, ["container start web-id"]],
    ["a label that differs", { label: ["tier=front", "zone=b"] }, []],
    ["network", { network: ["default"] }, ["network connect net-id"]],
    ["two keys together", { type: ["container"], image: ["pg"] }, ["container health_status: healthy db-id"]],
    ["a kind we do not have", { service: ["x"] }, []],
  ])("%s", async (_title, filters, expected) => {
    expect(await replay(bus, filters)).toEqual(expected);
  });

  test("an unknown key is no condition", async () => {
    expect(await replay(bus, { nonsense: ["x"] })).toHaveLength(4);
  });

  test("a label named like a property of every object is not found by accident", async () => {
    expect(await replay(bus, { label: ["constructor"] })).toEqual([]);
  });
});
