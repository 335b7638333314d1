import type { Command } from "commander";

import type { App } from "../app.ts";
import { ExitCode } from "../exit-codes.ts";
import { timeoutSeconds, wholeNumber } from "../option-values.ts";
import type { RunCommand } from "../program.ts";
import {
  engineInstall,
  engineLogs,
  engineServe,
  engineStatus,
  engineStop,
  type EngineCommandContext,
} from "./engine.ts";

/** The verbs of `tscompose engine`. */
export function configure(command: Command, run: RunCommand): void {
  const verb = (body: (context: EngineCommandContext) => Promise<number>): Promise<void> =>
    run(async (app) => {
      const code = await body(contextOf(app));
      if (code !== 0) throw new ExitCode(code);
    });
  command
    .command("status")
    .description("say whether the engine runs; exit code 1 if not")
    .option("--json", "as JSON")
    .action((flags: { readonly json?: boolean }) =>
      verb((context) => engineStatus(context, { json: flags.json === true })),
    );
  command
    .command("stop")
    .description("stop the engine; containers go on")
    .option("-t, --timeout <seconds>", "time to wait for it", "30")
    .action((flags: { readonly timeout: string }) =>
      verb((context) => engineStop(context, { timeoutSeconds: timeoutSeconds(flags.timeout) ?? 30 })),
    );
  command
    .command("logs")
    .description("show the engine's own log")
    .option("-f, --follow", "go on with what is written from now on")
    .option("-n, --tail <number>", "only so many lines of the end")
    .action((flags: { readonly follow?: boolean; readonly tail?: string }) =>
      verb((context) =>
        engineLogs(context, {
          follow: flags.follow === true,
          tail: flags.tail === undefined ? undefined : wholeNumber(flags.tail, "--tail"),
        }),
      ),
    );
  command
    .command("serve")
    .description("run the engine in the foreground")
    .action(() => verb((context) => engineServe(context)));
  command
    .command("install")
    .description("write a systemd unit, so that containers come back after a reboot")
    .option("--print", "only print it")
    .action((flags: { readonly print?: boolean }) =>
      verb((context) => engineInstall(context, { print: flags.print === true })),
    );
}

function contextOf({ terminal, signal }: App): EngineCommandContext {
  return {
    env: terminal.environment,
    stdout: (text) => terminal.stdout.write(text),
    stderr: (text) => terminal.stderr.write(text),
    signal,
  };
}
