import type { Command } from "commander";

import { stop } from "../../compose/lifecycle.ts";

import { timeoutSeconds } from "../option-values.ts";
import type { RunCommand } from "../program.ts";

export function configure(command: Command, run: RunCommand): void {
  command
    .argument("[services...]", "only these")
    .option("-t, --timeout <seconds>", "time to stop before a container is killed")
    .action((services: readonly string[], flags: { readonly timeout?: string }) =>
      run(async (app) => {
        const timeout = timeoutSeconds(flags.timeout);
        const [reference, context] = await Promise.all([app.reference("labels"), app.context()]);
        await stop(context, reference, { services, timeoutSeconds: timeout });
      }),
    );
}
