import type { Command } from "commander";

import { ls } from "../../compose/ls.ts";
import { TscomposeError } from "../../errors.ts";

import { oneOf } from "../option-values.ts";
import { formatTable, wideStyle } from "../output/table.ts";
import type { RunCommand } from "../program.ts";
import { printLines } from "../terminal.ts";

interface LsFlags {
  readonly all?: boolean;
  readonly filter?: string;
  readonly format: string;
  readonly quiet?: boolean;
}

export function configure(command: Command, run: RunCommand): void {
  command
    .option("-a, --all", "also those with only ended containers")
    .option("--filter <name=regex>", "only those whose name matches")
    .option("--format <format>", "table or json", "table")
    .option("-q, --quiet", "names only")
    .action((flags: LsFlags) =>
      run(async (app) => {
        const format = oneOf(flags.format, ["table", "json"], "--format");
        const matches = nameFilter(flags.filter);
        const all = await ls(await app.context(), { all: flags.all === true });
        const rows = all.filter(({ name }) => matches.test(name));
        const { stdout } = app.terminal;
        if (flags.quiet === true)
          printLines(
            stdout,
            rows.map(({ name }) => name),
          );
        else if (format === "json") {
          const items = rows.map(({ name, status, configFiles }) => ({
            Name: name,
            Status: status,
            ConfigFiles: configFiles,
          }));
          printLines(stdout, [JSON.stringify(items)]);
        } else {
          const cells = rows.map(({ name, status, configFiles }) => [name, status, configFiles]);
          printLines(stdout, formatTable(["NAME", "STATUS", "CONFIG FILES"], cells, wideStyle));
        }
      }),
    );
}

/** @throws compose/usage */
function nameFilter(filter: string | undefined): RegExp {
  if (filter === undefined) return /(?:)/;
  const [, pattern] = /^name=(.*)$/s.exec(filter) ?? [];
  if (pattern === undefined)
    throw new TscomposeError("compose/usage", `filter "${filter}" is not known`, { hint: "use name=REGEX" });
  try {
    return new RegExp(pattern);
  } catch (error) {
    throw new TscomposeError("compose/usage", `"${pattern}" is not a regular expression`, { cause: error });
  }
}
