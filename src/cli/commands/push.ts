import type { Command } from "commander";

import { push } from "../../compose/push.ts";

import type { RunCommand } from "../program.ts";

interface PushFlags {
  readonly ignorePushFailures?: boolean;
  readonly includeDeps?: boolean;
  readonly quiet?: boolean;
}

export function configure(command: Command, run: RunCommand): void {
  command
    .argument("[services...]", "only these")
    .option("--ignore-push-failures", "go on when a push fails")
    .option("--include-deps", "also push what they depend on")
    .option("-q, --quiet", "show no progress")
    .action((services: readonly string[], flags: PushFlags) =>
      run(async (app) => {
        const dependencies = flags.includeDeps === true || services.length === 0 ? "include" : "ignore";
        const [project, context] = await Promise.all([
          app.loadProject({ services, dependencies }),
          app.context({ quiet: flags.quiet === true }),
        ]);
        await push(context, project, { ignoreFailures: flags.ignorePushFailures === true });
      }),
    );
}
