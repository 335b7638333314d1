import type { Command } from "commander";

import { down } from "../../compose/down.ts";
import { waitForEnd } from "../../compose/wait.ts";

import { ExitCode } from "../exit-codes.ts";
import type { RunCommand } from "../program.ts";

export function configure(command: Command, run: RunCommand): void {
  command
    .argument("<services...>")
    .option("--down-project", "take the project down when the first of them has ended")
    .action((services: readonly string[], flags: { readonly downProject?: boolean }) =>
      run(async (app) => {
        const [reference, context] = await Promise.all([app.reference("labels"), app.context()]);
        let code = 0;
        let taken: Promise<unknown> | undefined;
        for await (const { id, exitCode } of waitForEnd(context, reference, services)) {
          app.terminal.stdout.write(`container "${id}" exited with status code ${exitCode}\n`);
          code = exitCode;
          if (flags.downProject === true) {
            taken ??= down(context, reference, {
              services: [],
              orphans: "remove",
              volumes: false,
              images: "none",
              timeoutSeconds: undefined,
            });
          }
        }
        await taken;
        if (code !== 0) throw new ExitCode(code);
      }),
    );
}
