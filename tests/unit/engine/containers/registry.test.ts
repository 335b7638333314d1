import { expect, test } from "vitest";
import { Container } from "../../../../src/engine/containers/container.ts";
import { containerPaths } from "../../../../src/engine/containers/paths.ts";
import { ContainerRegistry } from "../../../../src/engine/containers/registry.ts";
import { signalNumber } from "../../../../src/engine/containers/create/signals.ts";
import { canReceive } from "../../../../src/engine/containers/stop.ts";
import { record } from "./fixtures.ts";

const make = (id: string, name: string): Container =>
  new Container(record({ id, name }), containerPaths({ dataRoot: "/d", runRoot: "/r" }, id), () => undefined);

test("a container is found by id, by name, and by the beginning of its id, in this order", () => {
  const registry = new ContainerRegistry();
  const [one, two, three] = [
    make("ab1".padEnd(64, "0"), "one"),
    make("ab2".padEnd(64, "0"), "two"),
    make("c".repeat(64), "ab1"),
  ];
  [one, two, three].forEach((container) => registry.add(container));
  expect(registry.resolve(one.id)).toBe(one);
  expect(registry.resolve("/two")).toBe(two);
  expect(registry.resolve("ab1")).toBe(three); // a name goes before the beginning of an id
  expect(registry.resolve("ab2")).toBe(two);
  expect(() => registry.resolve("ab")).toThrow("multiple IDs found with provided prefix: ab");
  expect(() => registry.resolve("zz")).toThrow("No such container: zz");
  expect(() => registry.resolve("")).toThrow("No such container");
});

test("a name belongs to one container, from its reservation to its removal", () => {
  const registry = new ContainerRegistry();
  const one = make("a".repeat(64), "web");
  registry.reserveName("web", one.id);
  expect(() => registry.reserveName("web", "b".repeat(64))).toThrow('The container name "/web" is already in use');
  registry.add(one);
  registry.delete(one);
  registry.reserveName("web", "b".repeat(64));
});

test.each([
  ["TERM", 15],
  ["SIGKILL", 9],
  ["sigusr1", 10],
  ["15", 15],
  ["RTMIN+3", 37],
  ["SIGRTMAX-1", 63],
])("the signal %s is number %i", (text, number) => {
  expect(signalNumber(text)).toBe(number);
});

test.each(["NOPE", "0", "65", "-9", "", "RTMIN+99"])("%j is no signal", (text) => {
  expect(() => signalNumber(text)).toThrow("invalid signal");
});

test("a process can receive a signal that it catches or blocks", () => {
  const term = 1n << 14n;
  expect(canReceive({ caught: term, blocked: 0n }, 15)).toBe(true);
  expect(canReceive({ caught: 0n, blocked: term }, 15)).toBe(true);
  expect(canReceive({ caught: 1n << 13n, blocked: 0n }, 15)).toBe(false);
});
