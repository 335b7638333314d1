import type { Command } from "commander";

import { events, type ProjectEvent } from "../../compose/events.ts";

import { moment } from "../option-values.ts";
import type { RunCommand } from "../program.ts";

interface EventsFlags {
  readonly json?: boolean;
  readonly since?: string;
  readonly until?: string;
}

export function configure(command: Command, run: RunCommand): void {
  command
    .argument("[services...]", "only these")
    .option("--json", "one JSON object a line")
    .option("--since <time>", "from this time on")
    .option("--until <time>", "up to this time")
    .action((services: readonly string[], flags: EventsFlags) =>
      run(async (app) => {
        const now = Date.now();
        const since = moment(flags.since, "--since", now);
        const until = moment(flags.until, "--until", now);
        const [reference, context] = await Promise.all([app.reference("labels"), app.context()]);
        for await (const event of events(context, reference, { services, since, until })) {
          app.terminal.stdout.write(`${flags.json === true ? jsonEvent(event) : plainEvent(event)}\n`);
        }
      }),
    );
}

function jsonEvent({ time, service, id, action, attributes }: ProjectEvent): string {
  return JSON.stringify({ action, attributes, id, service, time: time.toISOString(), type: "container" });
}

function plainEvent({ time, id, action, attributes }: ProjectEvent): string {
  const at = time
    .toISOString()
    .replace("T", " ")
    .replace(/(\.\d{3})Z$/, "$1000");
  const pairs = Object.entries(attributes).map(([key, value]) => `${key}=${value}`);
  return `${at} container ${action} ${id} (${pairs.join(", ")})\n`;
}
