/** The process: arguments in, exit code out. The only place that ends it. */
import { TscomposeError } from "../errors.ts";

import { createApp } from "./app.ts";
import { ExitCode, exitCodeOf } from "./exit-codes.ts";
import { readGlobals } from "./globals.ts";
import { isUsageError, runProgram } from "./program.ts";
import { reportError } from "./report-error.ts";
import { processTerminal } from "./terminal.ts";
import { version } from "./version.ts";

const outputs: NodeJS.WriteStream[] = [];
const terminal = processTerminal((stream) => {
  outputs.push(stream);
  // A reader that went away (`tscompose logs | head`) is no error.
  stream.on("error", (error: NodeJS.ErrnoException) => {
    if (error.code === "EPIPE") process.exit(0);
    throw error;
  });
});

let interrupts = 0;
const interrupted = new AbortController();
let onInterrupt = (count: number): void => {
  interrupted.abort();
  if (count > 1) process.exit(130);
};
const interrupt = (): void => {
  interrupts += 1;
  // Whoever took the interrupts over gets two of them; a third ends the process whatever goes on.
  if (interrupts > 2) process.exit(130);
  onInterrupt(interrupts);
};
process.on("SIGINT", interrupt);
process.on("SIGTERM", interrupt);

/** Errors are JSON where progress is; read from the arguments, since they may be what is wrong. */
function wantsJson(argv: readonly string[]): boolean {
  const at = argv.indexOf("--progress");
  return argv.includes("--progress=json") || (at >= 0 && argv[at + 1] === "json");
}

async function main(argv: readonly string[]): Promise<number> {
  try {
    await runProgram({
      argv,
      version,
      write: (text) => terminal.stdout.write(text),
      writeError: (text) => terminal.stderr.write(text),
      run: async (raw, body) => {
        const app = createApp({
          globals: readGlobals(raw, terminal.environment),
          terminal,
          signal: interrupted.signal,
          onInterrupt: (handler) => {
            onInterrupt = handler;
          },
        });
        try {
          await body(app);
        } finally {
          await app.close();
        }
      },
    });
    return interrupted.signal.aborted ? 130 : 0;
  } catch (error) {
    if (isUsageError(error)) return error.exitCode;
    if (error instanceof ExitCode) return error.code;
    const known = interrupted.signal.aborted ? new TscomposeError("aborted", "interrupted", { cause: error }) : error;
    const colour = terminal.stderr.isTTY === true && (terminal.environment["NO_COLOR"] ?? "") === "";
    terminal.stderr.write(reportError(known, { json: wantsJson(argv), colour, verbose: argv.includes("--verbose") }));
    return exitCodeOf(known);
  }
}

async function flushed(stream: NodeJS.WriteStream): Promise<void> {
  if (stream.writableLength > 0) await new Promise<void>((resolve) => stream.write("", () => resolve()));
}

// No top-level await: the bundle is CommonJS, which starts sooner.
void main(process.argv.slice(2)).then(async (code) => {
  await Promise.all(outputs.map(flushed));
  process.exit(code);
});
