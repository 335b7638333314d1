import type { Command } from "commander";

import { logs } from "../../compose/logs.ts";
import { TscomposeError } from "../../errors.ts";

import type { App } from "../app.ts";
import { moment, wholeNumber } from "../option-values.ts";
import { createLogPrefixes } from "../output/log-prefix.ts";
import type { RunCommand } from "../program.ts";
import { plainNo } from "../plain-no.ts";
import { useColour } from "../colour.ts";

interface LogsFlags {
  readonly follow?: boolean;
  readonly index: string;
  readonly noColor?: boolean;
  readonly noLogPrefix?: boolean;
  readonly since?: string;
  readonly tail: string;
  readonly timestamps?: boolean;
  readonly until?: string;
}

export function configure(command: Command, run: RunCommand): void {
  command
    .argument("[services...]", "only these")
    .option("-f, --follow", "go on with what is written from now on")
    .option("--index <number>", "only the replica of this number", "0")
    .addOption(plainNo("--no-color", "no colours"))
    .addOption(plainNo("--no-log-prefix", "do not put the container's name before its output"))
    .option("--since <time>", "from this time on: 10m, 2026-11-21T09:00:00Z")
    .option("-n, --tail <number>", "only so many lines of the end of each container, or all", "all")
    .option("-t, --timestamps", "show when each line was written")
    .option("--until <time>", "up to this time")
    .action((services: readonly string[], flags: LogsFlags) => run((app) => runLogs(app, services, flags)));
}

async function runLogs(app: App, services: readonly string[], flags: LogsFlags): Promise<void> {
  const index = wholeNumber(flags.index, "--index");
  if (index > 0 && services.length !== 1)
    throw new TscomposeError("compose/usage", "--index needs exactly one service");
  const [reference, context] = await Promise.all([app.reference("labels"), app.context()]);
  const { stdout, stderr } = app.terminal;
  const prefixes = createLogPrefixes({
    prefix: flags.noLogPrefix !== true,
    colour: flags.noColor !== true && useColour(app, stdout),
  });
  const now = Date.now();
  const events = logs(context, reference, {
    services,
    index,
    follow: flags.follow === true,
    timestamps: flags.timestamps === true,
    tail: flags.tail === "all" ? "all" : wholeNumber(flags.tail, "--tail"),
    since: moment(flags.since, "--since", now),
    until: moment(flags.until, "--until", now),
  });
  for await (const event of events) {
    if (event.kind === "container") {
      prefixes.add(event.name);
      continue;
    }
    const target = event.stream === "stdout" ? stdout : stderr;
    if (!target.write(`${prefixes.line(event.name, event.text)}\n`)) await drained(target);
  }
}

function drained(stream: NodeJS.WriteStream): Promise<void> {
  return new Promise((resolve) => stream.once("drain", () => resolve()));
}
