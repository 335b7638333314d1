import type { Command } from "commander";

import { images } from "../../compose/images.ts";

import { oneOf } from "../option-values.ts";
import { humanDuration, humanSize } from "../output/human.ts";
import { formatTable, wideStyle } from "../output/table.ts";
import type { RunCommand } from "../program.ts";
import { printLines } from "../terminal.ts";

interface ImagesFlags {
  readonly format: string;
  readonly quiet?: boolean;
}

const headings = ["CONTAINER", "REPOSITORY", "TAG", "PLATFORM", "IMAGE ID", "SIZE", "CREATED"];

export function configure(command: Command, run: RunCommand): void {
  command
    .argument("[services...]", "only these")
    .option("--format <format>", "table or json", "table")
    .option("-q, --quiet", "ids only")
    .action((services: readonly string[], flags: ImagesFlags) =>
      run(async (app) => {
        const format = oneOf(flags.format, ["table", "json"], "--format");
        const [reference, context] = await Promise.all([app.reference("name"), app.context()]);
        const rows = await images(context, reference, services);
        const { stdout } = app.terminal;
        if (flags.quiet === true) {
          printLines(stdout, [...new Set(rows.map(({ id }) => id.replace(/^sha256:/, "")))]);
        } else if (format === "json") {
          const items = rows.map((row) => ({
            ID: row.id,
            ContainerName: row.container,
            Repository: row.repository,
            Tag: row.tag,
            Platform: row.platform,
            Size: row.sizeBytes,
            Created: row.created,
            LastTagTime: row.lastTagTime,
          }));
          printLines(stdout, [JSON.stringify(items)]);
        } else {
          const cells = rows.map((row) => [
            row.container,
            row.repository,
            row.tag,
            row.platform,
            row.id.replace(/^sha256:/, "").slice(0, 12),
            humanSize(row.sizeBytes),
            `${humanDuration(Date.now() - Date.parse(row.created))} ago`,
          ]);
          printLines(stdout, formatTable(headings, cells, wideStyle));
        }
      }),
    );
}
