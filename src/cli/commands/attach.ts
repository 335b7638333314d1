import type { Command } from "commander";

import { attach } from "../../compose/attach.ts";

import { attachTerminal } from "../attach-terminal.ts";
import { ExitCode } from "../exit-codes.ts";
import { wholeNumber } from "../option-values.ts";
import { plainNo } from "../plain-no.ts";
import type { RunCommand } from "../program.ts";

interface AttachFlags {
  readonly detachKeys?: string;
  readonly index: string;
  readonly noStdin?: boolean;
  readonly sigProxy: string;
}

export function configure(command: Command, run: RunCommand): void {
  command
    .argument("<service>")
    .option("--detach-keys <keys>", "the keys that detach; default: ctrl-p,ctrl-q")
    .option("--index <number>", "the replica of this number", "0")
    .addOption(plainNo("--no-stdin", "output only"))
    .option("--sig-proxy <bool>", "hand signals on to the process", "true")
    .action((service: string, flags: AttachFlags) =>
      run(async (app) => {
        const [reference, context] = await Promise.all([app.reference("name"), app.context()]);
        const interactive = flags.noStdin !== true;
        const process = await attach(context, reference, {
          service,
          index: wholeNumber(flags.index, "--index"),
          stdin: interactive,
          detachKeys: flags.detachKeys,
        });
        if (flags.sigProxy !== "false") app.onInterrupt(() => void process.kill("SIGINT").catch(() => undefined));
        const code = await attachTerminal(app, process, { interactive });
        if (code !== 0) throw new ExitCode(code);
      }),
    );
}
