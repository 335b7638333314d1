import { expect, test } from "vitest";
import { choosePlatform, formatPlatform, hostPlatform, parsePlatform } from "../../../../src/engine/images/platform.ts";

const host = hostPlatform("x64");
const list = (...names: string[]): { name: string; platform: ReturnType<typeof parsePlatform> }[] =>
  names.map((name) => ({ name, platform: parsePlatform(name, host) }));

test.each([
  ["linux/amd64", "linux/amd64"],
  ["linux/x86_64", "linux/amd64"],
  ["arm64", "linux/arm64"],
  ["linux/arm64/v8", "linux/arm64"],
  ["linux/arm", "linux/arm/v7"],
  ["linux/arm/6", "linux/arm/v6"],
  ["linux/armhf", "linux/arm/v7"],
  ["linux/i386", "linux/386"],
  ["linux", "linux/amd64"],
])("%s means %s", (text, name) => expect(formatPlatform(parsePlatform(text, host))).toBe(name));

test.each(["", "a/b/c/d", "linux/", "linux/am d64"])("%j is no platform", (text) =>
  expect(() => parsePlatform(text, host)).toThrow("invalid platform"),
);

test("the exact platform is chosen, of equals the first, and never another architecture", () => {
  const items = list("linux/arm64", "linux/amd64", "linux/amd64");
  expect(choosePlatform(items, host)).toBe(items[1]);
  expect(choosePlatform(list("linux/arm64", "windows/amd64"), host)).toBeUndefined();
});

test("an older variant of the architecture will do where the exact one is missing, a newer one not", () => {
  const wanted = parsePlatform("linux/arm/v7", host);
  expect(choosePlatform(list("linux/arm/v5", "linux/arm/v6"), wanted)?.name).toBe("linux/arm/v6");
  expect(choosePlatform(list("linux/arm/v7"), parsePlatform("linux/arm/v6", host))).toBeUndefined();
});
