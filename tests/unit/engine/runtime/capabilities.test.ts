import { describe, expect, test } from "vitest";
import { capabilityNames, decideCapabilities } from "../../../../src/engine/runtime/capabilities.ts";
import { allCapabilities } from "../containers/fixtures.ts";

const decide = (
  change: { readonly add?: readonly string[]; readonly drop?: readonly string[]; readonly privileged?: boolean },
  available = allCapabilities,
): bigint => {
  const names = decideCapabilities({ privileged: false, add: [], drop: [], available, ...change });
  return names.reduce((mask, name) => mask | (1n << BigInt(capabilityNames.indexOf(name))), 0n);
};
const bit = (name: string): bigint => 1n << BigInt(capabilityNames.indexOf(name));
const defaultMask = 0xa80425fbn;

test("a container gets Docker's fourteen by default", () => {
  expect(decide({})).toBe(defaultMask);
});

describe.each(capabilityNames)("%s", (name) => {
  const short = name.slice("CAP_".length).toLowerCase();
  test("added to the default, whether written in full or short", () => {
    expect(decide({ add: [name] })).toBe(defaultMask | bit(name));
    expect(decide({ add: [short] })).toBe(defaultMask | bit(name));
  });
  test("dropped from the default", () => {
    expect(decide({ drop: [short] })).toBe(defaultMask & ~bit(name));
  });
  test("alone, after all are dropped", () => {
    expect(decide({ add: [name], drop: ["ALL"] })).toBe(bit(name));
  });
});

test("ALL means all that the engine has; one named beside it can be left out", () => {
  expect(decide({ add: ["ALL"] })).toBe(allCapabilities);
  expect(decide({ add: ["all"], drop: ["NET_RAW"] })).toBe(allCapabilities & ~bit("CAP_NET_RAW"));
  expect(decide({ drop: ["ALL"] })).toBe(0n);
  expect(decide({ privileged: true, drop: ["ALL"] })).toBe(allCapabilities);
});

test("an engine that lacks one hands on the rest, and refuses it by name", () => {
  const available = allCapabilities & ~bit("CAP_SYS_RESOURCE");
  expect(decide({ privileged: true }, available)).toBe(available);
  expect(() => decide({ add: ["SYS_RESOURCE"] }, available)).toThrow("CAP_SYS_RESOURCE");
});
