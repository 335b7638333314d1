import type { Command } from "commander";

import { TscomposeError } from "../errors.ts";

export type AnsiMode = "auto" | "never" | "always";
export type ProgressMode = "auto" | "tty" | "plain" | "json" | "quiet";

/** The flags before the command, and what the environment says where they are not given. */
export interface Globals {
  readonly files: readonly string[];
  readonly projectName: string | undefined;
  readonly profiles: readonly string[];
  readonly envFiles: readonly string[];
  readonly projectDirectory: string | undefined;
  readonly compatibility: boolean;
  readonly ansi: AnsiMode;
  readonly progress: ProgressMode;
  /** Engine calls at once. */
  readonly concurrency: number;
  readonly dryRun: boolean;
  /** An engine other than our own. */
  readonly host: string | undefined;
  readonly verbose: boolean;
  readonly strict: boolean;
}

export function addGlobalOptions(program: Command): void {
  program
    .option("-f, --file <path>", "compose file (repeatable, merged in order)", collect, [])
    .option("-p, --project-name <name>", "project name")
    .option("--profile <name>", "switch a profile on (repeatable)", collect, [])
    .option("--env-file <path>", "read variables from this file instead of .env (repeatable)", collect, [])
    .option("--project-directory <path>", "base of relative paths; default: where the first compose file is")
    .option("--compatibility", "container names with _ instead of -")
    .option("--ansi <mode>", "control characters and colours: auto, never, always")
    .option("--progress <mode>", "how progress is shown: auto, tty, plain, json, quiet")
    .option("--parallel <number>", "engine calls at once; -1: no limit")
    .option("--dry-run", "show what would be done, and do nothing")
    .option("-H, --host <address>", "use this engine (unix:///path, tcp://host:port) instead of our own")
    .option("--strict", "warnings about compose files are errors")
    .option("--verbose", "say more");
}

export function collect(value: string, previous: readonly string[]): readonly string[] {
  return [...previous, value];
}

interface RawGlobals {
  readonly file: readonly string[];
  readonly projectName?: string;
  readonly profile: readonly string[];
  readonly envFile: readonly string[];
  readonly projectDirectory?: string;
  readonly compatibility?: boolean;
  readonly ansi?: string;
  readonly progress?: string;
  readonly parallel?: string;
  readonly dryRun?: boolean;
  readonly host?: string;
  readonly strict?: boolean;
  readonly verbose?: boolean;
}

const progressModes: readonly string[] = ["auto", "tty", "plain", "json", "quiet"];
const ansiModes: readonly string[] = ["auto", "never", "always"];

/** @throws compose/usage */
export function withProgress(globals: Globals, progress: string): Globals {
  if (!progressModes.includes(progress)) throw unknown("--progress", progress, progressModes);
  return { ...globals, progress: progress as ProgressMode };
}

/** @throws compose/usage for a value that is none of those listed. */
export function readGlobals(raw: object, environment: Readonly<Record<string, string | undefined>>): Globals {
  const given = raw as RawGlobals;
  const noColor = (environment["NO_COLOR"] ?? "") !== "" ? "never" : undefined;
  const ansi = given.ansi ?? environment["COMPOSE_ANSI"] ?? noColor ?? "auto";
  if (!ansiModes.includes(ansi)) throw unknown("--ansi", ansi, ansiModes);
  const asked = given.progress ?? environment["COMPOSE_PROGRESS"] ?? "";
  const progress = asked === "" ? "auto" : asked === "none" ? "quiet" : asked;
  if (!progressModes.includes(progress)) throw unknown("--progress", progress, progressModes);
  if (progress === "tty" && ansi === "never")
    throw new TscomposeError("compose/usage", "--progress tty needs control characters, and --ansi never forbids them");
  return {
    files: given.file,
    projectName: given.projectName,
    profiles: given.profile,
    envFiles: given.envFile,
    projectDirectory: given.projectDirectory,
    compatibility: given.compatibility ?? isTrue(environment["COMPOSE_COMPATIBILITY"]),
    ansi: ansi as AnsiMode,
    progress: progress as ProgressMode,
    concurrency: concurrencyOf(given.parallel ?? environment["COMPOSE_PARALLEL_LIMIT"]),
    dryRun: given.dryRun ?? false,
    host: given.host ?? environment["TSCOMPOSE_HOST"],
    verbose: given.verbose ?? false,
    strict: given.strict ?? false,
  };
}

function unknown(flag: string, value: string, known: readonly string[]): TscomposeError {
  return new TscomposeError("compose/usage", `${flag} "${value}" is not known`, {
    hint: `one of: ${known.join(", ")}`,
  });
}

function concurrencyOf(text: string | undefined): number {
  if (text === undefined || text === "") return Infinity;
  const limit = Number(text);
  if (!Number.isInteger(limit))
    throw new TscomposeError("compose/usage", `the number of parallel calls, "${text}", is not a whole number`);
  return limit > 0 ? limit : Infinity;
}

/** As Go's ParseBool reads it; anything else is false. */
export function isTrue(text: string | undefined): boolean {
  return text !== undefined && /^(1|t|true)$/i.test(text);
}
