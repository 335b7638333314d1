import type { Command } from "commander";

import { publishedPort } from "../../compose/port.ts";

import { wholeNumber } from "../option-values.ts";
import type { RunCommand } from "../program.ts";
import { printLines } from "../terminal.ts";

interface PortFlags {
  readonly index: string;
  readonly protocol: string;
}

export function configure(command: Command, run: RunCommand): void {
  command
    .argument("<service>")
    .argument("<private-port>", "the port in the container")
    .option("--index <number>", "the replica of this number", "0")
    .option("--protocol <protocol>", "tcp or udp", "tcp")
    .action((service: string, port: string, flags: PortFlags) =>
      run(async (app) => {
        const [reference, context] = await Promise.all([app.reference("name"), app.context()]);
        const found = await publishedPort(context, reference, {
          service,
          port: wholeNumber(port, "port"),
          protocol: flags.protocol.toLowerCase(),
          index: wholeNumber(flags.index, "--index"),
        });
        printLines(app.terminal.stdout, [found]);
      }),
    );
}
