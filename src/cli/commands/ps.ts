import type { Command } from "commander";

import { ps } from "../../compose/ps.ts";
import { TscomposeError } from "../../errors.ts";

import type { App } from "../app.ts";
import { collect } from "../globals.ts";
import { oneOf } from "../option-values.ts";
import { formatPsTable, psJson } from "../output/ps.ts";
import type { RunCommand } from "../program.ts";
import { plainNo } from "../plain-no.ts";
import { printLines } from "../terminal.ts";

interface PsFlags {
  readonly all?: boolean;
  readonly filter?: string;
  readonly format: string;
  readonly noTrunc?: boolean;
  readonly orphans: string | boolean;
  readonly quiet?: boolean;
  readonly services?: boolean;
  readonly status: readonly string[];
}

export function configure(command: Command, run: RunCommand): void {
  command
    .argument("[services...]", "only these")
    .option("-a, --all", "also those that have ended, and one-offs")
    .option("--filter <status=value>", "only those in this state")
    .option("--format <format>", "table or json", "table")
    .addOption(plainNo("--no-trunc", "do not shorten"))
    .option("--orphans <bool>", "also of services that are not in the compose file", "true")
    .option("-q, --quiet", "ids only")
    .option("--services", "names of services only")
    .option("--status <state>", "only those in this state (repeatable)", collect, [])
    .action((services: readonly string[], flags: PsFlags) => run((app) => runPs(app, services, flags)));
}

async function runPs(app: App, services: readonly string[], flags: PsFlags): Promise<void> {
  const format = oneOf(flags.format, ["table", "json"], "--format");
  const status = [...flags.status, ...(flags.filter === undefined ? [] : [statusOf(flags.filter)])];
  const [reference, context] = await Promise.all([app.reference("labels"), app.context()]);
  const rows = await ps(context, reference, {
    services,
    all: flags.all === true,
    orphans: String(flags.orphans) !== "false",
    status,
  });
  const style = { full: flags.noTrunc === true, nowMs: Date.now() };
  const { stdout } = app.terminal;
  if (flags.quiet === true)
    printLines(
      stdout,
      rows.map(({ id }) => id),
    );
  else if (flags.services === true) printLines(stdout, [...new Set(rows.map(({ service }) => service))]);
  else if (format === "json")
    printLines(
      stdout,
      rows.map((row) => JSON.stringify(psJson(row, style))),
    );
  else printLines(stdout, formatPsTable(rows, style));
}

function statusOf(filter: string): string {
  const [, value] = /^status=(.+)$/.exec(filter) ?? [];
  if (value === undefined)
    throw new TscomposeError("compose/usage", `filter "${filter}" is not known`, {
      hint: "use status=running and the like",
    });
  return value;
}
