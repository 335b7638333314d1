import type { Command } from "commander";

import { down } from "../../compose/down.ts";
import { simple } from "../../compose/lifecycle.ts";
import { findOrphans } from "../../planner/reconcile.ts";
import { observe } from "../../planner/observe.ts";

import { isTrue } from "../globals.ts";
import type { RunCommand } from "../program.ts";

interface KillFlags {
  readonly signal: string;
  readonly removeOrphans?: boolean;
}

export function configure(command: Command, run: RunCommand): void {
  command
    .argument("[services...]", "only these")
    .option("-s, --signal <signal>", "the signal to send", "SIGKILL")
    .option("--remove-orphans", "also kill and remove containers of services that are not in the compose file")
    .action((services: readonly string[], flags: KillFlags) =>
      run(async (app) => {
        const [reference, context] = await Promise.all([app.reference("labels"), app.context()]);
        const killed = await simple(context, reference, { verb: "kill", services, signal: flags.signal });
        const orphans = flags.removeOrphans ?? isTrue(app.terminal.environment["COMPOSE_REMOVE_ORPHANS"]);
        if (orphans && reference.project !== undefined) {
          const observed = await observe(context.docker, {
            project: reference.name,
            images: [],
            signal: context.signal,
          });
          const names = [...new Set(findOrphans(reference.project, observed).map(({ service }) => service))];
          if (names.length > 0) {
            const options = { orphans: "remove", volumes: false, images: "none", timeoutSeconds: 0 } as const;
            await down(context, { name: reference.name, project: undefined }, { ...options, services: names });
          }
        }
        if (killed === 0) app.warn("no container to kill");
      }),
    );
}
