import type { Command } from "commander";

import { down, type DownOptions, planDown } from "../../compose/down.ts";
import { formatPlan } from "../../planner/plan.ts";

import type { App } from "../app.ts";
import { isTrue } from "../globals.ts";
import { oneOf, timeoutSeconds } from "../option-values.ts";
import type { RunCommand } from "../program.ts";
import { printLines } from "../terminal.ts";

interface DownFlags {
  readonly removeOrphans?: boolean;
  readonly rmi?: string;
  readonly timeout?: string;
  readonly volumes?: boolean;
}

export function configure(command: Command, run: RunCommand): void {
  command
    .argument("[services...]", "only these")
    .option("--remove-orphans", "also remove containers of services that are not in the compose file")
    .option("--rmi <which>", "remove images too: local (those without an image name of their own) or all")
    .option("-t, --timeout <seconds>", "time to stop before a container is killed")
    .option("-v, --volumes", "remove named volumes of the compose file and anonymous volumes too")
    .option("--dry-run", "show what would be done, and do nothing")
    .action((services: readonly string[], flags: DownFlags) => run((app) => runDown(app, services, flags)));
}

async function runDown(app: App, services: readonly string[], flags: DownFlags): Promise<void> {
  const options: DownOptions = {
    services,
    orphans: (flags.removeOrphans ?? isTrue(app.terminal.environment["COMPOSE_REMOVE_ORPHANS"])) ? "remove" : "keep",
    volumes: flags.volumes === true,
    images: flags.rmi === undefined ? "none" : oneOf(flags.rmi, ["local", "all"], "--rmi"),
    timeoutSeconds: timeoutSeconds(flags.timeout),
  };
  const [reference, context] = await Promise.all([app.reference("labels"), app.context()]);
  if (app.globals.dryRun) {
    const plan = await planDown(context, reference, options);
    printLines(app.terminal.stdout, plan.nodes.length === 0 ? [] : [formatPlan(plan)]);
    return;
  }
  const removed = await down(context, reference, options);
  if (removed === 0) app.warn(`nothing found to remove for project "${reference.name}"`);
}
