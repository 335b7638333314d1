import type { Command } from "commander";

import { top } from "../../compose/top.ts";

import { formatTable, narrowStyle } from "../output/table.ts";
import type { RunCommand } from "../program.ts";
import { printLines } from "../terminal.ts";

export function configure(command: Command, run: RunCommand): void {
  command.argument("[services...]", "only these").action((services: readonly string[]) =>
    run(async (app) => {
      const [reference, context] = await Promise.all([app.reference("labels"), app.context()]);
      const { titles, rows } = await top(context, reference, services);
      if (rows.length === 0) return;
      const cells = rows.map(({ service, number, values }) => [
        service,
        String(number),
        ...titles.map((title) => values[title] ?? "-"),
      ]);
      printLines(app.terminal.stdout, formatTable(["SERVICE", "#", ...titles], cells, narrowStyle));
    }),
  );
}
