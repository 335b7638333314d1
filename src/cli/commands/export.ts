import { createWriteStream } from "node:fs";
import { pipeline } from "node:stream/promises";
import type { Command } from "commander";

import { oneContainer } from "../../compose/select.ts";
import { TscomposeError } from "../../errors.ts";
import { observeContainers } from "../../planner/observe.ts";

import { wholeNumber } from "../option-values.ts";
import type { RunCommand } from "../program.ts";

interface ExportFlags {
  readonly index: string;
  readonly output?: string;
}

export function configure(command: Command, run: RunCommand): void {
  command
    .argument("<service>")
    .option("--index <number>", "the replica of this number", "0")
    .option("-o, --output <file>", "where to; default: standard output")
    .action((service: string, { index, output }: ExportFlags) =>
      run(async (app) => {
        const { stdout } = app.terminal;
        if (output === undefined && stdout.isTTY === true) {
          throw new TscomposeError("compose/usage", "a tar would be written to the terminal", {
            hint: "name a file with -o",
          });
        }
        const [reference, context] = await Promise.all([app.reference("name"), app.context()]);
        const containers = await observeContainers(context.docker, reference.name, context.signal);
        const container = oneContainer(containers, service, { index: wholeNumber(index, "--index"), running: true });
        const { name } = container;
        context.onProgress({ kind: "Container", name, status: "working", text: "Exporting" });
        const tar = await context.docker.getContainer(container.id).export({ abortSignal: context.signal });
        await (output === undefined ? pipeline(tar, stdout, { end: false }) : pipeline(tar, createWriteStream(output)));
        context.onProgress({ kind: "Container", name, status: "done", text: "Exported" });
      }),
    );
}
