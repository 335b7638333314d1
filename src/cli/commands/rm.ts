import type { Command } from "commander";

import { removable, remove } from "../../compose/lifecycle.ts";

import type { RunCommand } from "../program.ts";

interface RmFlags {
  readonly force?: boolean;
  readonly stop?: boolean;
  readonly volumes?: boolean;
}

export function configure(command: Command, run: RunCommand): void {
  command
    .argument("[services...]", "only these")
    .option("-f, --force", "do not ask")
    .option("-s, --stop", "stop them first")
    .option("-v, --volumes", "remove anonymous volumes too")
    .action((services: readonly string[], flags: RmFlags) =>
      run(async (app) => {
        const [reference, context] = await Promise.all([app.reference("labels"), app.context()]);
        const options = {
          services,
          timeoutSeconds: undefined,
          stop: flags.stop === true,
          volumes: flags.volumes === true,
        };
        const containers = await removable(context, reference, options);
        if (containers.length === 0) {
          app.warn("no stopped containers");
          return;
        }
        const names = containers.map(({ name }) => name).join(", ");
        if (flags.force !== true && !(await context.confirm(`Going to remove ${names}`))) return;
        await remove(context, reference, { ...options, containers });
      }),
    );
}
