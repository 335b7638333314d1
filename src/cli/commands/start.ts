import type { Command } from "commander";

import { start } from "../../compose/start.ts";

import { waitTimeout } from "../option-values.ts";
import type { RunCommand } from "../program.ts";

interface StartFlags {
  readonly wait?: boolean;
  readonly waitTimeout?: string;
}

export function configure(command: Command, run: RunCommand): void {
  command
    .argument("[services...]", "only these")
    .option("--wait", "wait until services run or are healthy")
    .option("--wait-timeout <seconds>", "give up waiting after this time")
    .action((services: readonly string[], flags: StartFlags) =>
      run(async (app) => {
        const [reference, context] = await Promise.all([app.reference("labels"), app.context()]);
        const waitTimeoutSeconds = flags.wait === true ? waitTimeout(flags.waitTimeout) : undefined;
        await start(context, reference, { services, wait: flags.wait === true, waitTimeoutSeconds });
      }),
    );
}
