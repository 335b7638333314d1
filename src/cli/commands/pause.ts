import type { Command } from "commander";

import { simple } from "../../compose/lifecycle.ts";

import type { RunCommand } from "../program.ts";

export function configure(command: Command, run: RunCommand): void {
  command.argument("[services...]", "only these").action((services: readonly string[]) =>
    run(async (app) => {
      const [reference, context] = await Promise.all([app.reference("labels"), app.context()]);
      await simple(context, reference, { verb: "pause", services });
    }),
  );
}
