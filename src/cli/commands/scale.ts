import type { Command } from "commander";

import { converge } from "../../compose/converge.ts";
import { withScales } from "../../compose/scale.ts";
import { defaultReconcileOptions } from "../../planner/options.ts";

import { scales } from "../option-values.ts";
import { plainNo } from "../plain-no.ts";
import type { RunCommand } from "../program.ts";

export function configure(command: Command, run: RunCommand): void {
  command
    .argument("<service=number...>", "so many containers of each service")
    .addOption(plainNo("--no-deps", "leave dependencies alone"))
    .action((entries: readonly string[], flags: { readonly noDeps?: boolean }) =>
      run(async (app) => {
        const wanted = scales(entries);
        const services = [...wanted.keys()];
        const dependencies = flags.noDeps === true ? "ignore" : "include";
        const [project, context] = await Promise.all([
          app.loadProject({ command: "up", services, dependencies }),
          app.context(),
        ]);
        await converge(context, withScales(project, wanted), {
          reconcile: { ...defaultReconcileOptions, services, orphans: "ignore" },
          pull: "policy",
          build: "never",
          layerProgress: true,
          assumeYes: false,
          waitTimeoutSeconds: undefined,
        });
      }),
    );
}
