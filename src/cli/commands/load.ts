import { createReadStream } from "node:fs";
import { stat } from "node:fs/promises";
import type { Command } from "commander";

import { errnoOf, TscomposeError } from "../../errors.ts";

import type { App } from "../app.ts";
import type { RunCommand } from "../program.ts";
import { printable } from "../report-error.ts";

interface LoadFlags {
  readonly input?: string;
  readonly quiet?: boolean;
}

export function configure(command: Command, run: RunCommand): void {
  command
    .option("-i, --input <file>", "the archive, of docker save or an OCI layout; default: standard input")
    .option("-q, --quiet", "show no progress")
    .action((flags: LoadFlags) => run((app) => loadImages(app, flags)));
}

/** Prints what was loaded, one a line, as `docker load` does. */
async function loadImages(app: App, { input, quiet }: LoadFlags): Promise<void> {
  const { stdin, stdout, stderr } = app.terminal;
  if (input === undefined && stdin.isTTY === true) {
    throw new TscomposeError("compose/usage", "an archive is expected on standard input, which is a terminal", {
      hint: "name a file: tscompose load -i image.tar",
    });
  }
  if (input !== undefined) await checkFile(input);
  const docker = await app.docker();
  const source = input === undefined ? stdin : createReadStream(input);
  const stream = await docker.loadImage(source, { quiet: quiet === true, abortSignal: app.signal });
  for await (const { stream: text, status, id } of docker.modem.progress(stream, app.signal)) {
    if (text !== undefined) stdout.write(`${printable(text.trimEnd())}\n`);
    else if (quiet !== true && status !== undefined && stderr.isTTY !== true && id === undefined)
      stderr.write(`${printable(status)}\n`);
  }
}

async function checkFile(path: string): Promise<void> {
  try {
    const found = await stat(path);
    if (found.isDirectory()) throw new TscomposeError("request/invalid", `${path} is a folder, not an archive`);
  } catch (error) {
    if (errnoOf(error) !== "ENOENT") throw error;
    throw new TscomposeError("request/not-found", `no such file: ${path}`, { cause: error });
  }
}
