import { describe, expect, test } from "vitest";

import { commandField, ellipsis, portsField } from "../../../src/cli/output/container-fields.ts";
import { binarySize, humanDuration, humanSize } from "../../../src/cli/output/human.ts";
import { createLogPrefixes } from "../../../src/cli/output/log-prefix.ts";
import { formatPsTable, psJson } from "../../../src/cli/output/ps.ts";
import { formatTable, listStyle, wideStyle } from "../../../src/cli/output/table.ts";
import { printable, reportError } from "../../../src/cli/report-error.ts";
import { exitCodeOf, ExitCode } from "../../../src/cli/exit-codes.ts";
import type { PsRow } from "../../../src/compose/ps.ts";
import { TscomposeError } from "../../../src/errors.ts";
import { aContainer } from "../../support/planner-fixtures.ts";

const summary = {
  Command: "sh -c 'echo ready; sleep 1000'",
  Created: 1_795_254_874,
  Status: "Up 5 seconds (healthy)",
  Ports: [{ IP: "0.0.0.0", PrivatePort: 80, PublicPort: 18081, Type: "tcp" }],
  Mounts: [],
};
const row = { ...aContainer({ name: "t1-db-1", service: "db", health: "healthy" }), summary } as unknown as PsRow;
const style = { full: false, nowMs: (1_795_254_874 + 6) * 1000 };

test("ps prints Docker Compose's columns", () => {
  expect(formatPsTable([row], style)).toEqual([
    "NAME      IMAGE     COMMAND                  SERVICE   CREATED         STATUS                   PORTS",
    `t1-db-1   busybox   "sh -c 'echo ready; …"   db        6 seconds ago   Up 5 seconds (healthy)   0.0.0.0:18081->80/tcp`,
  ]);
});

test("ps as JSON has Docker Compose's keys", () => {
  const item = psJson(row, style);
  expect(Object.keys(item)).toEqual(
    (
      "Command CreatedAt Engine ExitCode Health ID Image Labels LocalVolumes Mounts Name Names Networks Ports Project " +
      "Publishers RunningFor Service Size State Status"
    ).split(" "),
  );
  expect(item).toMatchObject({
    CreatedAt: "2026-11-21 09:54:34 +0000 UTC",
    Health: "healthy",
    Publishers: [{ URL: "0.0.0.0", TargetPort: 80, PublishedPort: 18081, Protocol: "tcp" }],
    RunningFor: "6 seconds ago",
  });
});

test("tables are aligned as Docker aligns them", () => {
  expect(formatTable(["NAME", "STATUS", "CONFIG FILES"], [["t1", "running(3)", "/a.yaml"]], wideStyle)).toEqual([
    "NAME                STATUS              CONFIG FILES",
    "t1                  running(3)          /a.yaml",
  ]);
  expect(formatTable(["DRIVER", "VOLUME NAME"], [["local", "t1_data"]], listStyle)).toEqual([
    "DRIVER    VOLUME NAME",
    "local     t1_data",
  ]);
});

describe("ports", () => {
  const port = (PrivatePort: number, PublicPort?: number, IP?: string): object => ({
    PrivatePort,
    PublicPort,
    IP,
    Type: "tcp",
  });
  test.each([
    [
      "neighbours are joined",
      [port(9000, 9000, "0.0.0.0"), port(9001, 9001, "0.0.0.0")],
      "0.0.0.0:9000-9001->9000-9001/tcp",
    ],
    ["version 6 in brackets", [port(80, 8080, "::")], "[::]:8080->80/tcp"],
    ["exposed ones without host", [port(99)], "99/tcp"],
    [
      "ranges first",
      [port(99), port(9000, 9000, "::"), port(80, 18081, "0.0.0.0")],
      "99/tcp, [::]:9000->9000/tcp, 0.0.0.0:18081->80/tcp",
    ],
  ])("%s", (_title, ports, expected) => {
    expect(
      portsField(ports as never)
        .split(", ")
        .toSorted(),
    ).toEqual(expected.split(", ").toSorted());
  });
});

test("commands are quoted and cut", () => {
  expect(commandField("sleep 1000", false)).toBe('"sleep 1000"');
  expect(commandField("x".repeat(30), false)).toBe(`"${"x".repeat(19)}…"`);
  expect(ellipsis("äöü", 3)).toBe("äöü");
});

test.each([
  [500, "Less than a second"],
  [1000, "1 second"],
  [59_000, "59 seconds"],
  [60_000, "About a minute"],
  [26 * 60_000, "26 minutes"],
  [3_600_000, "About an hour"],
  [47 * 3_600_000, "47 hours"],
  [72 * 3_600_000, "3 days"],
  [21 * 24 * 3_600_000, "3 weeks"],
  [90 * 24 * 3_600_000, "3 months"],
  [800 * 24 * 3_600_000, "2 years"],
])("%d ms is %s", (milliseconds, expected) => {
  expect(humanDuration(milliseconds)).toBe(expected);
});

test("sizes have three digits in thousands and four in binary", () => {
  expect(humanSize(1_065_673)).toBe("1.07MB");
  expect(humanSize(0)).toBe("0B");
  expect(binarySize(2_728_000)).toBe("2.602MiB");
});

describe("log prefixes", () => {
  test("are as wide as the widest name", () => {
    const prefixes = createLogPrefixes({ prefix: true, colour: false });
    for (const name of ["db-1", "worker-1"]) prefixes.add(name);
    expect(prefixes.line("db-1", "ready")).toBe("db-1      | ready");
  });
  test("can be left out", () => {
    expect(createLogPrefixes({ prefix: false, colour: true }).line("db-1", "ready")).toBe("ready");
  });
  test("have a colour a name", () => {
    const prefixes = createLogPrefixes({ prefix: true, colour: true });
    expect(prefixes.line("a-1", "x")).toBe("\u001b[36ma-1  | \u001b[0mx");
    expect(prefixes.line("b-1", "x")).toBe("\u001b[33mb-1  | \u001b[0mx");
  });
});

describe("errors", () => {
  const error = new TscomposeError("image/not-found", "no such image: nope", { hint: "pull it" });
  const plain = { json: false, colour: false, verbose: false };
  test("say what to do", () => {
    expect(reportError(error, plain)).toBe("error: no such image: nope\n  hint: pull it\n");
  });
  test("as JSON carry their code", () => {
    expect(JSON.parse(reportError(error, { ...plain, json: true }))).toEqual({
      error: true,
      message: "no such image: nope",
      code: "image/not-found",
      hint: "pull it",
    });
  });
  test("in compose files have their place", () => {
    const diagnostic = {
      severity: "error",
      code: "unknown-key",
      message: 'unknown key "imagee"',
      path: ["services", "web"],
      place: { file: "/srv/compose.yaml", line: 3, column: 5, length: 6, excerpt: "    imagee: x" },
      chain: [],
    };
    const failure = new TscomposeError("spec/invalid", "1 error", { details: { diagnostics: [diagnostic] } });
    expect(reportError(failure, plain)).toBe(
      [
        '/srv/compose.yaml:3:5: error[unknown-key]: unknown key "imagee"',
        "3 |     imagee: x",
        "  |     ^^^^^^",
        "",
      ].join("\n"),
    );
  });
  test("of ours show where they happened", () => {
    expect(reportError(new Error("oops"), plain)).toContain("output.test.ts");
  });
  test("cannot drive the terminal", () => {
    expect(printable("a\u001b[2Jb\u0007")).toBe("a\\x1b[2Jb\\x07");
  });
  test("end with 1, broken off with 130, and a process's own code with that", () => {
    expect(exitCodeOf(error)).toBe(1);
    expect(exitCodeOf(new TscomposeError("aborted", "x"))).toBe(130);
    expect(exitCodeOf(new ExitCode(7))).toBe(7);
  });
});
