import type { Command } from "commander";

import type { NetworkFault, NetworkFaultBody } from "../../api/wire.ts";
import { healFaults, listFaults, makeFault, planFault } from "../../compose/faults.ts";
import { TscomposeError } from "../../errors.ts";

import type { App } from "../app.ts";
import { oneOf } from "../option-values.ts";
import { humanDuration } from "../output/human.ts";
import { formatTable, listStyle } from "../output/table.ts";
import type { RunCommand } from "../program.ts";
import { printLines } from "../terminal.ts";

interface NetFlags {
  readonly format: string;
}

/** The verbs of `tscompose net`: what becomes of the software when services do not reach each other? */
export function configure(command: Command, run: RunCommand): void {
  const verb = (name: string, summary: string): Command =>
    command
      .command(name)
      .description(summary)
      .option("--format <format>", "table or json", "table")
      .option("--dry-run", "only say what would be done");
  verb("partition", "let nothing pass between two services, until they are healed")
    .argument("<service>", "one side")
    .argument("<other>", "the other side")
    .action((a: string, b: string, flags: NetFlags) => run((app) => make(app, [a, b], flags)));
  verb("cut", "let nothing pass to or from a service, until it is healed")
    .argument("<service>", "the one to cut off")
    .action((service: string, flags: NetFlags) => run((app) => make(app, [service], flags)));
  verb("heal", "end partitions and cuts: all of the project, those of a service, or the one between two")
    .argument("[service]", "only what it is in")
    .argument("[other]", "only what both are in")
    .action((a: string | undefined, b: string | undefined, flags: NetFlags) =>
      run((app) =>
        heal(
          app,
          [a, b].filter((one) => one !== undefined),
          flags,
        ),
      ),
    );
  verb("ls", "list partitions and cuts of the project").action((flags: NetFlags) => run((app) => show(app, flags)));
}

const isDryRun = (app: App): boolean => app.globals.dryRun;

async function make(app: App, services: readonly string[], flags: NetFlags): Promise<void> {
  const format = oneOf(flags.format, ["table", "json"], "--format");
  const [reference, context] = await Promise.all([app.reference("labels"), app.context()]);
  const plan = await planFault(context, reference, services);
  if (isDryRun(app)) return print(app, format, { done: "would be", faults: [plan] });
  const fault = await makeFault(context, plan);
  for (const warning of fault.Warnings) app.warn(warning);
  return print(app, format, { done: "is", faults: [fault] });
}

async function heal(app: App, services: readonly string[], flags: NetFlags): Promise<void> {
  const format = oneOf(flags.format, ["table", "json"], "--format");
  const [reference, context] = await Promise.all([app.reference("labels"), app.context()]);
  const faults = await listFaults(context, reference, services);
  if (faults.length === 0 && services.length > 0) {
    throw new TscomposeError("request/not-found", `nothing to heal: ${services.join(" and ")}`, {
      hint: "`tscompose net ls` lists what is partitioned or cut off",
    });
  }
  if (!isDryRun(app)) await healFaults(context, faults);
  const { stdout } = app.terminal;
  if (format === "json") printLines(stdout, faults.map(faultJson));
  else
    printLines(
      stdout,
      faults.map((fault) => `${describe(fault)}: ${isDryRun(app) ? "would be healed" : "healed"}`),
    );
}

async function show(app: App, flags: NetFlags): Promise<void> {
  const format = oneOf(flags.format, ["table", "json"], "--format");
  const [reference, context] = await Promise.all([app.reference("labels"), app.context()]);
  const faults = await listFaults(context, reference);
  const { stdout } = app.terminal;
  if (format === "json") return printLines(stdout, faults.map(faultJson));
  const cells = faults.map(({ Id, Kind, Sides, Created, Containers }) => [
    Id,
    Kind,
    Sides.map(({ Name }) => Name).join(" | "),
    Containers.map((side) => (side.length === 0 ? "-" : side.join(","))).join(" | "),
    `${humanDuration(Date.now() - Date.parse(Created))} ago`,
  ]);
  printLines(stdout, formatTable(["ID", "KIND", "SERVICES", "CONTAINERS", "CREATED"], cells, listStyle));
}

const describe = ({ Kind, Sides }: NetworkFaultBody): string => {
  const [a = "", b = ""] = Sides.map(({ Name }) => Name);
  return Kind === "cut" ? `${a} cut off` : `${a} partitioned from ${b}`;
};

function print(
  app: App,
  format: string,
  result: { readonly done: string; readonly faults: readonly (NetworkFault | NetworkFaultBody)[] },
): void {
  const { stdout } = app.terminal;
  if (format === "json") return printLines(stdout, result.faults.map(faultJson));
  printLines(
    stdout,
    result.faults.map((fault) => {
      const [a = "", b = ""] = fault.Sides.map(({ Name }) => Name);
      return fault.Kind === "cut" ? `${a} ${result.done} cut off` : `${a} ${result.done} partitioned from ${b}`;
    }),
  );
}

/** One object a line. */
function faultJson(fault: NetworkFault | NetworkFaultBody): string {
  const id = "Id" in fault ? { ID: fault.Id, Created: fault.Created, Containers: fault.Containers } : {};
  return JSON.stringify({ ...id, Kind: fault.Kind, Services: fault.Sides.map(({ Name }) => Name) });
}
