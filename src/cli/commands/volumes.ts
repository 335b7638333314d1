import type { Command } from "commander";

import { volumes } from "../../compose/volumes.ts";

import { oneOf } from "../option-values.ts";
import { formatTable, listStyle } from "../output/table.ts";
import { labelsField } from "../output/container-fields.ts";
import type { RunCommand } from "../program.ts";
import { printLines } from "../terminal.ts";

interface VolumesFlags {
  readonly format: string;
  readonly quiet?: boolean;
}

export function configure(command: Command, run: RunCommand): void {
  command
    .argument("[services...]", "only what these mount")
    .option("--format <format>", "table or json", "table")
    .option("-q, --quiet", "names only")
    .action((services: readonly string[], flags: VolumesFlags) =>
      run(async (app) => {
        const format = oneOf(flags.format, ["table", "json"], "--format");
        const [reference, context] = await Promise.all([app.reference("labels"), app.context()]);
        const rows = await volumes(context, reference, services);
        const { stdout } = app.terminal;
        if (flags.quiet === true)
          printLines(
            stdout,
            rows.map(({ Name }) => Name),
          );
        else if (format === "json") {
          const lines = rows.map(({ Driver, Labels, Mountpoint, Name, Scope }) =>
            JSON.stringify({ Driver, Labels: labelsField(Labels ?? {}), Mountpoint, Name, Scope }),
          );
          printLines(stdout, lines);
        } else {
          printLines(
            stdout,
            formatTable(
              ["DRIVER", "VOLUME NAME"],
              rows.map(({ Driver, Name }) => [Driver, Name]),
              listStyle,
            ),
          );
        }
      }),
    );
}
