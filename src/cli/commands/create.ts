import type { Command } from "commander";

import { converge } from "../../compose/converge.ts";
import { withScales } from "../../compose/scale.ts";
import { defaultReconcileOptions } from "../../planner/options.ts";

import { collect } from "../globals.ts";
import { exclusive, scales } from "../option-values.ts";
import { plainNo } from "../plain-no.ts";
import type { RunCommand } from "../program.ts";
import { pullOverride } from "./up.ts";

interface CreateFlags {
  readonly build?: boolean;
  readonly forceRecreate?: boolean;
  readonly noBuild?: boolean;
  readonly noRecreate?: boolean;
  readonly pull: string;
  readonly quietPull?: boolean;
  readonly removeOrphans?: boolean;
  readonly scale: readonly string[];
  readonly yes?: boolean;
}

export function configure(command: Command, run: RunCommand): void {
  command
    .argument("[services...]", "only these and what they depend on")
    .option("--build", "build images first")
    .option("--force-recreate", "recreate containers even if nothing changed")
    .addOption(plainNo("--no-build", "never build an image"))
    .addOption(plainNo("--no-recreate", "keep containers that exist"))
    .option("--pull <policy>", "pull images: always, missing, never, build", "policy")
    .option("--quiet-pull", "do not show the progress of pulls")
    .option("--remove-orphans", "remove containers of services that are not in the compose file")
    .option("--scale <service=number>", "so many containers of a service (repeatable)", collect, [])
    .option("-y, --yes", "answer every question with yes")
    .action((services: readonly string[], flags: CreateFlags) =>
      run(async (app) => {
        const given = {
          "--build": flags.build === true,
          "--no-build": flags.noBuild === true,
          "--force-recreate": flags.forceRecreate === true,
          "--no-recreate": flags.noRecreate === true,
        };
        exclusive(given, [
          ["--build", "--no-build"],
          ["--force-recreate", "--no-recreate"],
        ]);
        const [project, context] = await Promise.all([app.loadProject({ command: "up", services }), app.context()]);
        const recreate = flags.forceRecreate === true ? "always" : flags.noRecreate === true ? "never" : "diverged";
        await converge(context, withScales(project, scales(flags.scale)), {
          reconcile: {
            ...defaultReconcileOptions,
            services,
            start: false,
            recreate,
            recreateDependencies: flags.noRecreate === true ? "never" : "diverged",
            orphans: flags.removeOrphans === true ? "remove" : "warn",
          },
          pull: pullOverride(flags.pull),
          build: flags.build === true ? "always" : flags.noBuild === true ? "never" : "missing",
          layerProgress: flags.quietPull !== true,
          assumeYes: flags.yes === true,
          waitTimeoutSeconds: undefined,
        });
      }),
    );
}
