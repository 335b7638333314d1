import { Command } from "commander";
import { describe, expect, test } from "vitest";

import { readGlobals } from "../../../src/cli/globals.ts";
import { exclusive, moment, oneOf, scales, timeoutSeconds, waitTimeout } from "../../../src/cli/option-values.ts";
import { plainNo } from "../../../src/cli/plain-no.ts";
import { parsePublish, parseVolume, splitWords } from "../../../src/cli/run-values.ts";

const none = { file: [], profile: [], envFile: [] };

describe("global flags", () => {
  test("have defaults", () => {
    expect(readGlobals(none, {})).toMatchObject({
      progress: "auto",
      ansi: "auto",
      concurrency: Infinity,
      dryRun: false,
    });
  });
  test("win over the environment", () => {
    const environment = { COMPOSE_PROGRESS: "json", COMPOSE_PARALLEL_LIMIT: "2", TSCOMPOSE_HOST: "unix:///a" };
    expect(readGlobals(none, environment)).toMatchObject({ progress: "json", concurrency: 2, host: "unix:///a" });
    expect(readGlobals({ ...none, progress: "plain", parallel: "5", host: "tcp://b" }, environment)).toMatchObject({
      progress: "plain",
      concurrency: 5,
      host: "tcp://b",
    });
  });
  test("DOCKER_HOST does not lead commands to another engine", () => {
    expect(readGlobals(none, { DOCKER_HOST: "unix:///var/run/docker.sock" }).host).toBeUndefined();
  });
  test("NO_COLOR switches colours off", () => {
    expect(readGlobals(none, { NO_COLOR: "1" }).ansi).toBe("never");
  });
  test("unknown values are refused by name", () => {
    expect(() => readGlobals({ ...none, progress: "loud" }, {})).toThrow('--progress "loud" is not known');
    expect(() => readGlobals({ ...none, parallel: "many" }, {})).toThrow('"many", is not a whole number');
  });
  test("--parallel -1 is no limit", () => {
    expect(readGlobals({ ...none, parallel: "-1" }, {}).concurrency).toBe(Infinity);
  });
});

describe("values", () => {
  test("a timeout is a whole number of seconds", () => {
    expect(timeoutSeconds(undefined)).toBeUndefined();
    expect(timeoutSeconds("0")).toBe(0);
    expect(() => timeoutSeconds("soon")).toThrow('--timeout "soon" is not a whole number of seconds');
  });
  test("a wait timeout of 0 is no limit", () => {
    expect(waitTimeout("0")).toBeUndefined();
    expect(waitTimeout("30")).toBe(30);
  });
  test("scales are SERVICE=NUMBER", () => {
    expect([...scales(["web=3", "db=0"])]).toEqual([
      ["web", 3],
      ["db", 0],
    ]);
    expect(() => scales(["web"])).toThrow('"web" does not say a number of containers');
  });
  test("one of those known", () => {
    expect(oneOf("json", ["table", "json"], "--format")).toBe("json");
    expect(() => oneOf("xml", ["table", "json"], "--format")).toThrow('--format "xml" is not known');
  });
  test("flags that exclude each other are named", () => {
    const given = { "--build": true, "--no-build": true };
    expect(() => exclusive(given, [["--build", "--no-build"]])).toThrow("--build and --no-build cannot be combined");
  });
  test.each([
    ["10m", "999400.000000000"],
    ["1h30m", "994600.000000000"],
    ["1795253323.5", "1795253323.5"],
    ["1970-01-02T00:00:00Z", "86400.000000000"],
    ["1970-01-02T00:00:00.25Z", "86400.250000000"],
  ])("the time %s", (text, expected) => {
    expect(moment(text, "--since", 1_000_000_000)).toBe(expected);
  });
  test("what is no time is refused", () => {
    expect(() => moment("yesterday", "--since", 0)).toThrow('--since "yesterday" is neither a time nor a duration');
  });
});

describe("flags that are spelled --no-x", () => {
  const parse = (...argv: string[]): Record<string, unknown> =>
    new Command()
      .option("--attach <service>", "", "all")
      .option("--build")
      .addOption(plainNo("--no-attach <service>", "").default([]))
      .addOption(plainNo("--no-build", ""))
      .addOption(plainNo("-T, --no-tty", ""))
      .parse(argv, { from: "user" })
      .opts();
  test("stand for themselves", () => {
    expect(parse("--no-build", "--no-attach", "db", "-T")).toEqual({
      attach: "all",
      noAttach: "db",
      noBuild: true,
      noTty: true,
    });
  });
  test("leave the flag without no alone", () => {
    expect(parse("--build", "--attach", "web")).toEqual({ attach: "web", build: true, noAttach: [] });
  });
});

describe("values of run", () => {
  test.each([
    ["80", [{ target: 80, protocol: "tcp" }]],
    ["8080:80", [{ target: 80, published: "8080", protocol: "tcp" }]],
    ["127.0.0.1:53:53/udp", [{ target: 53, published: "53", protocol: "udp", host_ip: "127.0.0.1" }]],
    ["[::1]::80", [{ target: 80, protocol: "tcp", host_ip: "::1" }]],
    [
      "8000-8001:80-81",
      [
        { target: 80, published: "8000", protocol: "tcp" },
        { target: 81, published: "8001", protocol: "tcp" },
      ],
    ],
  ])("port %s", (text, expected) => {
    expect(parsePublish(text)).toEqual(expected);
  });
  test("ports that make no sense are refused", () => {
    expect(() => parsePublish("eighty")).toThrow('port "eighty" is not understood');
    expect(() => parsePublish("1-2:3-5")).toThrow("the ranges differ in length");
  });
  test.each([
    ["data:/d", { type: "volume", source: "data", target: "/d" }],
    ["./x:/d:ro", { type: "bind", source: "/home/x", target: "/d", read_only: true }],
    ["/x:/d", { type: "bind", source: "/x", target: "/d" }],
    ["/anon", { type: "volume", target: "/anon" }],
  ])("volume %s", (text, expected) => {
    expect(parseVolume(text, "/home")).toEqual(expected);
  });
  test.each([
    ["a b  c", ["a", "b", "c"]],
    ["sh -c 'echo \"hi\"'", ["sh", "-c", 'echo "hi"']],
    ['a "b \\" c" d\\ e', ["a", 'b " c', "d e"]],
    ["''", [""]],
  ])("words of %s", (text, expected) => {
    expect(splitWords(text)).toEqual(expected);
  });
});
