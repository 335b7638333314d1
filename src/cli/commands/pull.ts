import type { Command } from "commander";

import { pull } from "../../compose/pull.ts";

import { oneOf } from "../option-values.ts";
import type { RunCommand } from "../program.ts";

interface PullFlags {
  readonly ignoreBuildable?: boolean;
  readonly ignorePullFailures?: boolean;
  readonly includeDeps?: boolean;
  readonly policy?: string;
  readonly quiet?: boolean;
}

export function configure(command: Command, run: RunCommand): void {
  command
    .argument("[services...]", "only these")
    .option("--ignore-buildable", "leave out images that can be built")
    .option("--ignore-pull-failures", "go on when a pull fails")
    .option("--include-deps", "also pull what they depend on")
    .option("--policy <policy>", "pull missing images or all: missing, always")
    .option("-q, --quiet", "show no progress")
    .action((services: readonly string[], flags: PullFlags) =>
      run(async (app) => {
        const policy = flags.policy === undefined ? "service" : oneOf(flags.policy, ["missing", "always"], "--policy");
        const [project, context] = await Promise.all([
          app.loadProject({
            services,
            dependencies: flags.includeDeps === true || services.length === 0 ? "include" : "ignore",
          }),
          app.context({ quiet: flags.quiet === true }),
        ]);
        await pull(context, project, {
          policy,
          ignoreFailures: flags.ignorePullFailures === true,
          ignoreBuildable: flags.ignoreBuildable === true,
          layerProgress: true,
        });
      }),
    );
}
