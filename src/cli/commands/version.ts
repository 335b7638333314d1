import type { Command } from "commander";

import { oneOf } from "../option-values.ts";
import type { RunCommand } from "../program.ts";
import { printLines } from "../terminal.ts";
import { version } from "../version.ts";

interface VersionFlags {
  readonly format: string;
  readonly short?: boolean;
}

export function configure(command: Command, run: RunCommand): void {
  command
    .option("-f, --format <format>", "pretty or json", "pretty")
    .option("--short", "only the number")
    .action((flags: VersionFlags) =>
      run(async (app) => {
        const format = oneOf(flags.format, ["pretty", "json"], "--format");
        const text = format === "json" ? JSON.stringify({ version: `v${version}` }) : `tscompose version v${version}`;
        printLines(app.terminal.stdout, [flags.short === true ? version : text]);
        await Promise.resolve();
      }),
    );
}
