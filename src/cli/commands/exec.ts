import type { Command } from "commander";

import { exec } from "../../compose/exec.ts";

import type { App } from "../app.ts";
import { ExitCode } from "../exit-codes.ts";
import { collect } from "../globals.ts";
import { wholeNumber } from "../option-values.ts";
import type { RunCommand } from "../program.ts";
import { plainNo } from "../plain-no.ts";
import { attachTerminal, wantsTty } from "../attach-terminal.ts";

interface ExecFlags {
  readonly detach?: boolean;
  readonly env: readonly string[];
  readonly index: string;
  readonly interactive: string | boolean;
  readonly noTty?: boolean;
  readonly tty?: boolean;
  readonly privileged?: boolean;
  readonly user?: string;
  readonly workdir?: string;
}

export function configure(command: Command, run: RunCommand): void {
  command
    .argument("<service>")
    .argument("<command...>")
    .passThroughOptions()
    .option("-d, --detach", "start it and return")
    .option("-e, --env <name=value>", "set a variable (repeatable)", collect, [])
    .option("--index <number>", "the replica of this number", "0")
    .option("-i, --interactive [bool]", "keep standard input open", true)
    .addOption(plainNo("-T, --no-tty", "no terminal"))
    .option("-t, --tty", "a terminal")
    .option("--privileged", "with all capabilities")
    .option("-u, --user <user>", "as this user")
    .option("-w, --workdir <path>", "in this folder")
    .action((service: string, argv: readonly string[], flags: ExecFlags) =>
      run((app) => runExec(app, { service, argv, flags })),
    );
}

async function runExec(
  app: App,
  { service, argv, flags }: { readonly service: string; readonly argv: readonly string[]; readonly flags: ExecFlags },
): Promise<void> {
  const [reference, context] = await Promise.all([app.reference("name"), app.context()]);
  const interactive = String(flags.interactive) !== "false";
  const tty = wantsTty(app.terminal, { tty: flags.tty, noTty: flags.noTty, interactive });
  const { columns, rows } = app.terminal.stdout;
  const session = await exec(context, reference, {
    service,
    command: argv,
    index: wholeNumber(flags.index, "--index"),
    environment: flags.env.flatMap((entry) =>
      environmentEntry(entry, reference.project?.environment ?? app.terminal.environment),
    ),
    user: flags.user,
    workdir: flags.workdir,
    privileged: flags.privileged === true,
    tty,
    interactive,
    detach: flags.detach === true,
    size: tty ? [rows ?? 24, columns ?? 80] : undefined,
  });
  if (session === undefined) return;
  const code = await attachTerminal(app, session, { interactive });
  if (code !== 0) throw new ExitCode(code);
}

/** `NAME` takes its value from the environment. */
export function environmentEntry(
  entry: string,
  environment: Readonly<Record<string, string | undefined>>,
): readonly string[] {
  if (entry.includes("=")) return [entry];
  const value = environment[entry];
  return [value === undefined ? entry : `${entry}=${value}`];
}
