import type { Command } from "commander";

import { sample, samples, statsTargets, type StatsRow } from "../../compose/stats.ts";

import { oneOf } from "../option-values.ts";
import { binarySize, humanSize } from "../output/human.ts";
import { formatTable, listStyle } from "../output/table.ts";
import { plainNo } from "../plain-no.ts";
import type { RunCommand } from "../program.ts";
import { printLines } from "../terminal.ts";

interface StatsFlags {
  readonly all?: boolean;
  readonly format: string;
  readonly noStream?: boolean;
  readonly noTrunc?: boolean;
}

const headings = ["CONTAINER ID", "NAME", "CPU %", "MEM USAGE / LIMIT", "MEM %", "NET I/O", "BLOCK I/O", "PIDS"];

export function configure(command: Command, run: RunCommand): void {
  command
    .argument("[service]", "only this")
    .option("-a, --all", "also those that do not run")
    .option("--format <format>", "table or json", "table")
    .addOption(plainNo("--no-stream", "one sample"))
    .addOption(plainNo("--no-trunc", "do not shorten"))
    .action((service: string | undefined, flags: StatsFlags) =>
      run(async (app) => {
        const format = oneOf(flags.format, ["table", "json"], "--format");
        const [reference, context] = await Promise.all([app.reference("name"), app.context()]);
        const services = service === undefined ? [] : [service];
        const targets = await statsTargets(context, reference, { services, all: flags.all === true });
        const { stdout } = app.terminal;
        const full = flags.noTrunc === true;
        const show = (rows: readonly StatsRow[]): void => {
          const cells = rows.map((row) => cellsOf(row, full));
          if (format === "json") printLines(stdout, cells.map(jsonOf));
          else printLines(stdout, formatTable(headings, cells, listStyle));
        };
        if (flags.noStream === true) {
          show(await Promise.all(targets.map((target) => sample(context, target))));
          return;
        }
        const latest = new Map<string, StatsRow>();
        await Promise.all(
          targets.map(async (target) => {
            for await (const row of samples(context, target)) {
              latest.set(target.id, row);
              // The first target sets the pace, so that one picture is drawn a second.
              if (target !== targets[0]) continue;
              if (stdout.isTTY === true) stdout.write("\u001b[H\u001b[J");
              show([...latest.values()]);
            }
          }),
        );
      }),
    );
}

function cellsOf(row: StatsRow, full: boolean): readonly string[] {
  const share = row.memoryLimitBytes === 0 ? 0 : (row.memoryBytes / row.memoryLimitBytes) * 100;
  return [
    full ? row.id : row.id.slice(0, 12),
    row.name,
    `${row.cpuPercent.toFixed(2)}%`,
    `${binarySize(row.memoryBytes)} / ${binarySize(row.memoryLimitBytes)}`,
    `${share.toFixed(2)}%`,
    `${humanSize(row.receivedBytes)} / ${humanSize(row.sentBytes)}`,
    `${humanSize(row.readBytes)} / ${humanSize(row.writtenBytes)}`,
    String(row.pids),
  ];
}

function jsonOf([ID, Name, CPUPerc, MemUsage, MemPerc, NetIO, BlockIO, PIDs]: readonly string[]): string {
  return JSON.stringify({ BlockIO, CPUPerc, Container: ID, ID, MemPerc, MemUsage, Name, NetIO, PIDs });
}
