import { pipeline } from "node:stream/promises";
import type { Command } from "commander";

import { copyIn, copyOut, type CopyTarget } from "../../compose/copy.ts";
import { TscomposeError } from "../../errors.ts";

import type { App } from "../app.ts";
import { wholeNumber } from "../option-values.ts";
import type { RunCommand } from "../program.ts";

interface CpFlags {
  readonly all?: boolean;
  readonly archive?: boolean;
  readonly followLink?: boolean;
  readonly index: string;
}

export function configure(command: Command, run: RunCommand): void {
  command
    .argument("<source>", "SERVICE:PATH, a local path, or - for a tar on standard input")
    .argument("<target>", "SERVICE:PATH, a local path, or - for a tar on standard output")
    .option("--all", "one-off containers count too")
    .option("-a, --archive", "keep owners")
    .option("-L, --follow-link", "copy what a symbolic link in the source points to")
    .option("--index <number>", "only the replica of this number", "0")
    .action((source: string, target: string, flags: CpFlags) => run((app) => copy(app, { source, target, flags })));
}

interface Copy {
  readonly source: string;
  readonly target: string;
  readonly flags: CpFlags;
}

async function copy(app: App, { source, target, flags }: Copy): Promise<void> {
  const from = serviceSide(source, flags);
  const to = serviceSide(target, flags);
  if (from !== undefined && to !== undefined)
    throw new TscomposeError("compose/usage", "copying between services is not supported");
  if (to !== undefined) await upload(app, source, to, flags);
  else if (from !== undefined) await download(app, from, target, flags);
  else {
    throw new TscomposeError("compose/usage", "unknown copy direction", {
      hint: "write SERVICE:PATH on one side; a local path with a colon begins with ./ or /",
    });
  }
}

/** Undefined: a local path, or `-`. */
function serviceSide(text: string, flags: CpFlags): CopyTarget | undefined {
  const colon = text.indexOf(":");
  if (colon <= 0 || /^[./]/.test(text)) return undefined;
  return {
    service: text.slice(0, colon),
    path: text.slice(colon + 1),
    index: wholeNumber(flags.index, "--index"),
    oneOffs: flags.all === true,
  };
}

async function upload(app: App, source: string, target: CopyTarget, flags: CpFlags): Promise<void> {
  const [reference, context] = await Promise.all([app.reference("name"), app.context()]);
  const keepOwner = flags.archive === true;
  if (source === "-") {
    const { stdin } = app.terminal;
    const chunks = (): AsyncIterable<Buffer> => stdin as AsyncIterable<Buffer>;
    await copyIn(
      context,
      reference,
      { ...target, index: target.index || 1 },
      { source: { kind: "archive", name: "" }, makeTar: chunks, keepOwner },
    );
    return;
  }
  const { localSource } = await import("../local-tree.ts");
  const local = await localSource(source, { follow: flags.followLink === true });
  await copyIn(context, reference, target, { source: local, makeTar: (name) => local.makeTar(name), keepOwner });
}

async function download(app: App, source: CopyTarget, target: string, flags: CpFlags): Promise<void> {
  const [reference, context] = await Promise.all([app.reference("name"), app.context()]);
  const { stat, tar, container } = await copyOut(context, reference, source, { follow: flags.followLink === true });
  if (target === "-") {
    await pipeline(tar, app.terminal.stdout, { end: false });
    return;
  }
  const { unpackTo } = await import("../local-tree.ts");
  const said = { kind: "Container", name: container } as const;
  context.onProgress({ ...said, status: "working", text: "Copying" });
  const name = source.path.endsWith("/.") ? "." : stat.name;
  const directory = Math.floor(stat.mode / 2 ** 31) % 2 === 1;
  await unpackTo(target, tar as AsyncIterable<Buffer>, { name, directory, keepOwner: flags.archive === true });
  context.onProgress({ ...said, status: "done", text: "Copied" });
}
