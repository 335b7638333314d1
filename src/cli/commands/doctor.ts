import type { Command } from "commander";

import { judgeHost } from "../../engine/requirements.ts";
import { readHostFacts } from "../../host/facts.ts";
import { probeBridgeAndVeth } from "../../host/network-probe.ts";

import { resolveRoots } from "../engine/roots.ts";
import { ExitCode } from "../exit-codes.ts";
import { oneOf } from "../option-values.ts";
import { formatFindings } from "../output/findings.ts";
import type { RunCommand } from "../program.ts";
import { printLines, type Terminal } from "../terminal.ts";

export function configure(command: Command, run: RunCommand): void {
  command
    .option("--format <format>", "text or json", "text")
    .action((flags: { readonly format: string }) => run((app) => runDoctor(app.terminal, flags.format)));
}

/** Exit code 1 when the engine could not run here; warnings alone leave it 0. */
async function runDoctor(terminal: Terminal, wanted: string): Promise<void> {
  const format = oneOf(wanted, ["text", "json"], "--format");
  const roots = resolveRoots(terminal.environment);
  const findings = judgeHost(await readHostFacts(roots, probeBridgeAndVeth));
  if (format === "json") printLines(terminal.stdout, [JSON.stringify(findings)]);
  else printLines(terminal.stdout, formatFindings(findings));
  if (findings.some((finding) => finding.severity === "error")) throw new ExitCode(1);
}
