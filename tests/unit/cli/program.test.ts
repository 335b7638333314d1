import { describe, expect, test } from "vitest";

import type { App } from "../../../src/cli/app.ts";
import { isUsageError, runProgram } from "../../../src/cli/program.ts";

interface Ran {
  readonly out: string;
  readonly err: string;
  readonly globals: Readonly<Record<string, unknown>> | undefined;
  readonly exitCode: number;
}

/** Reads the command line; the command itself is not run. */
async function cli(...argv: readonly string[]): Promise<Ran> {
  let out = "";
  let err = "";
  let globals: Readonly<Record<string, unknown>> | undefined;
  let exitCode = 0;
  try {
    await runProgram({
      argv,
      version: "1.2.3",
      run: (raw: object, _body: (app: App) => Promise<void>) => {
        globals = raw as Readonly<Record<string, unknown>>;
        return Promise.resolve();
      },
      write: (text) => (out += text),
      writeError: (text) => (err += text),
    });
  } catch (error) {
    if (!isUsageError(error)) throw error;
    exitCode = error.exitCode;
  }
  return { out, err, globals, exitCode };
}

test("without arguments it helps", async () => {
  const { out, exitCode } = await cli();
  expect(out).toContain("Usage: tscompose [options] <command>");
  expect(out).toMatch(/up .*create and start the services/);
  expect(exitCode).toBe(0);
});

test("--help of a command shows its flags", async () => {
  const { out, exitCode } = await cli("up", "--help");
  expect(out).toContain("--force-recreate");
  expect(exitCode).toBe(0);
});

test("--version prints the version", async () => {
  expect((await cli("--version")).out).toBe("1.2.3\n");
});

test("an unknown command is answered with the nearest", async () => {
  const { err, exitCode } = await cli("donw");
  expect(err).toContain("unknown command 'donw'");
  expect(err).toContain("down");
  expect(exitCode).toBe(1);
});

test("an unknown flag ends with 1", async () => {
  const { err, exitCode } = await cli("up", "--bogus");
  expect(err).toContain("unknown option '--bogus'");
  expect(exitCode).toBe(1);
});

test("global flags come before the command, repeated ones in order", async () => {
  const { globals } = await cli("-f", "a.yaml", "--file=b.yaml", "-p", "x", "up", "-d");
  expect(globals).toMatchObject({ file: ["a.yaml", "b.yaml"], projectName: "x" });
});

test("--dry-run may come after the command", async () => {
  expect((await cli("up", "--dry-run")).globals).toMatchObject({ dryRun: true });
  expect((await cli("--dry-run", "down")).globals).toMatchObject({ dryRun: true });
});

test.each(["stop", "rm", "kill", "restart", "pull", "engine status"])(
  "--dry-run is refused by %s, not ignored",
  async (command) => {
    await expect(cli("--dry-run", ...command.split(" "))).rejects.toThrow("--dry-run is not possible with");
  },
);

test("--dry-run does not hinder what changes nothing", async () => {
  expect((await cli("--dry-run", "ps")).exitCode).toBe(0);
});

test("what follows the service of exec belongs to its command", async () => {
  expect((await cli("exec", "-T", "web", "ls", "-la", "--help")).exitCode).toBe(0);
});

describe("each command reads its own flags", () => {
  test.each([
    ["up", "-d", "--no-deps", "--scale", "web=2", "-V", "-t", "3", "web"],
    ["up", "--no-attach", "db", "--no-log-prefix", "--abort-on-container-exit"],
    ["down", "-v", "--rmi", "all", "-t", "0", "--remove-orphans"],
    ["ps", "-a", "--format", "json", "--status", "running"],
    ["logs", "-f", "--tail", "5", "-t", "--no-color", "--since", "5m", "web"],
    ["run", "--rm", "-e", "A=1", "-p", "80:80", "-T", "web", "sh", "-c", "x"],
    ["exec", "-u", "root", "-w", "/", "web", "true"],
    ["rm", "-sfv"],
    ["kill", "-s", "SIGTERM", "web"],
    ["restart", "--no-deps", "web"],
    ["start", "--wait"],
    ["stop", "-t", "1"],
    ["pull", "-q", "--policy", "missing"],
    ["ls", "-aq"],
    ["images", "--format", "json"],
    ["load", "-i", "x.tar"],
    ["create", "--force-recreate"],
    ["scale", "web=2"],
    ["port", "web", "80"],
    ["top"],
    ["stats", "--no-stream"],
    ["events", "--json"],
    ["wait", "web"],
    ["net", "partition", "web", "db", "--format", "json"],
    ["net", "cut", "web", "--dry-run"],
    ["net", "heal", "web"],
    ["net", "ls"],
    ["volumes", "-q"],
    ["attach", "--no-stdin", "web"],
    ["export", "-o", "x.tar", "web"],
    ["commit", "web", "x:1"],
    ["push", "-q"],
    ["cp", "-aL", "--index", "1", "web:/etc/hosts", "."],
    ["pause"],
    ["unpause"],
    ["version", "--short"],
    ["engine", "status", "--json"],
  ])("%s", async (...argv) => {
    const { err, exitCode, globals } = await cli(...argv);
    expect(err).toBe("");
    expect(exitCode).toBe(0);
    expect(globals).toBeDefined();
  });
});
