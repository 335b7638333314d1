import type { Command } from "commander";

import { restart } from "../../compose/restart.ts";

import { timeoutSeconds } from "../option-values.ts";
import { plainNo } from "../plain-no.ts";
import type { RunCommand } from "../program.ts";

interface RestartFlags {
  readonly timeout?: string;
  readonly noDeps?: boolean;
}

export function configure(command: Command, run: RunCommand): void {
  command
    .argument("[services...]", "only these")
    .addOption(plainNo("--no-deps", "leave services alone that depend on them"))
    .option("-t, --timeout <seconds>", "time to stop before a container is killed")
    .action((services: readonly string[], flags: RestartFlags) =>
      run(async (app) => {
        const timeout = timeoutSeconds(flags.timeout);
        const [reference, context] = await Promise.all([app.reference("labels"), app.context()]);
        const dependents = flags.noDeps === true ? "leave" : "restart";
        await restart(context, reference, { services, timeoutSeconds: timeout, dependents });
      }),
    );
}
