import { describe, expect, it } from "vitest";
import { readBoolean, readFilters, readInteger, readMoment, readPlatform } from "../../../src/api/query.ts";

const query = (text: string): URLSearchParams => new URLSearchParams(text);

describe("query parameters", () => {
  it.each([
    ["a=1", true],
    ["a=true", true],
    ["a=maybe", true],
    ["a=", false],
    ["a=0", false],
    ["a=False", false],
    ["a=NO", false],
    ["a=none", false],
    ["b=1", false],
  ])("%s is %s as a boolean", (text, expected) => {
    expect(readBoolean(query(text), "a")).toBe(expected);
  });

  it("have a default only when they are absent", () => {
    expect([readBoolean(query(""), "a", true), readBoolean(query("a="), "a", true)]).toEqual([true, false]);
  });

  it.each([
    ["t=1795221320", 1795221320000000000n],
    ["t=1795221320.483", 1795221320483000000n],
    ["t=1795221320.000000001", 1795221320000000001n],
    ["t=0", undefined],
    ["t=", undefined],
    ["", undefined],
  ])("%s is a time", (text, expected) => {
    expect(readMoment(query(text), "t")).toBe(expected);
  });

  it.each(["t=yesterday", "t=1e9", "t=1.x", "t=2026-01-01T00:00:00Z"])("%s is not a time", (text) => {
    expect(() => readMoment(query(text), "t")).toThrow(/Unix time/);
  });

  it("are integers or refused", () => {
    expect(readInteger(query("n=-1"), "n")).toBe(-1);
    expect(readInteger(query("n="), "n")).toBeUndefined();
    expect(() => readInteger(query("n=1.5"), "n")).toThrow(/not an integer/);
  });

  it("give filters whose false values are left out", () => {
    expect(readFilters(query(`filters={"status":{"running":true,"dead":false}}`), ["status"])).toEqual(
      new Map([["status", ["running"]]]),
    );
    expect(readFilters(query("filters="), ["status"])).toEqual(new Map());
  });

  it.each([
    ["", undefined],
    ["platform=", undefined],
    ["platform=linux/arm64", "linux/arm64"],
    ['platform={"os":"linux","architecture":"arm","variant":"v7"}', "linux/arm/v7"],
    ['platform={"os":"linux","architecture":"amd64","variant":""}', "linux/amd64"],
  ])("%s names the platform %s", (text, expected) => {
    expect(readPlatform(query(text))).toBe(expected);
  });

  it.each([
    'platform={"os":"linux"}',
    "platform={",
    'platform={"os":1,"architecture":"arm64"}',
    "platform=a&platform=b",
  ])("%s is no platform", (text) => {
    expect(() => readPlatform(query(text))).toThrow(/platform/);
  });
});
